import Cryptography
import Foundation
import SEVSNP
import SVSM
import Testing
import Wire

@Suite struct ExampleTests {
  /// The example's bytes and what a reader written from the text finds in them.
  private static func read() throws -> PlainReader {
    var reader = PlainReader(try ExampleStream.make())
    let offer = try ExampleStream.destination().offer.encoded
    // By migration-data.md, "Seeds".
    let prk = try HKDF.extract(
      ExampleStream.destinationSeed, salt: Array("svsm-migration v1 seed".utf8) + [0],
      using: .sha384)
    let material = try HKDF.expand(
      prk, info: Array("instance key".utf8), count: 48, using: .sha384)
    let pair = try DHKEM.p384.deriveKeyPair(material)
    try reader.read(offer: offer, privateKey: (pair.secret, pair.point))
    return reader
  }

  @Test func aReaderWrittenFromTheTextAloneReadsTheStream() throws {
    let reader = try Self.read()
    #expect(reader.isCommitted)
    let memory = ExampleStream.memory
    #expect(
      reader.pages == [0: Array(memory[..<4096]), 0x3000: Array(memory[12288...])])
    let vcpu = try #require(reader.final["snp-vcpu"])
    #expect(vcpu.count == 4112)
    #expect(vcpu[4] == 2)
    let service = try #require(reader.final["snp-service"])
    #expect(service.suffix(3) == Array("TPM".utf8)[...])
    #expect(service[15] == 7, "generation rises by one")
    // Runs: validated, shared, validated.
    let runs = try #require(reader.final["snp-page-states"])
    #expect(runs.count == 72)
    #expect([runs[16], runs[40], runs[64]] == [2, 1, 2])
  }

  @Test func theExampleShowsTheBytesOfTheStream() throws {
    let stream = try ExampleStream.make()
    let shown = stride(from: 0, to: 208, by: 16).map { start in
      let row = stream[start..<start + 16].map { Hex.encode([$0]) }
      return String(repeating: " ", count: 4 - "\(start)".count) + "\(start)  "
        + row.joined(separator: " ")
    }
    #expect(example("bytes") == shown.joined(separator: "\n"))
  }

  @Test func theExampleListsTheRecordsOfTheStream() throws {
    let listed = try Self.read().records.map { record in
      "\(record.offset)".padded(to: 7) + "\(record.size)".padded(to: 6) + "  " + record.what
    }
    #expect(example("records") == listed.joined(separator: "\n"))
  }

  @Test func theExampleNamesTheKeysOfTheSession() throws {
    let named = try Self.read().keys.map { entry in
      "\(entry.name) key".padding(toLength: 17, withPad: " ", startingAt: 0)
        + Hex.encode(entry.key)
    }
    #expect(example("keys") == named.joined(separator: "\n"))
  }

  @Test func aChangedByteIsNotTakenForTheExample() throws {
    // The plain reader is no verifier; it must at least not be fooled where the text says "tag".
    var bytes = try ExampleStream.make()
    let page = try #require(
      Self.read().records.first { $0.what.hasPrefix("snp-private-pages part") })
    bytes[page.offset + 5 + 100] ^= 1
    var reader = PlainReader(bytes)
    let destination = try ExampleStream.destination()
    let material = try RandomSource.seeded(ExampleStream.destinationSeed)
      .bytes(48, for: "instance key")
    let pair = try DHKEM.p384.deriveKeyPair(material)
    #expect(throws: PlainReader.Failure.self) {
      try reader.read(offer: destination.offer.encoded, privateKey: (pair.secret, pair.point))
    }
  }
}

extension String {
  /// Right-aligned in `width` columns.
  fileprivate func padded(to width: Int) -> String {
    String(repeating: " ", count: max(width - count, 0)) + self
  }
}
