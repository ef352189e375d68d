import Cryptography
import Errors
import SEVSNP
import TestSupport
import Testing

@Suite struct CertificateTableTests {
  /// From veraison/services: ARK, ASK and VCEK as PEM (see `Fixtures/attestation/SOURCES.md`).
  private let name = "attestation/genoa-v3-veraison"

  @Test func aGenuineTableIsReadAndVerifies() throws {
    let bytes = try Fixture.read(name + ".certtable.bin")
    let table = try CertificateTable(bytes)
    #expect(table.entries.map(\.kind) == [.ark, .ask, .vcek])
    #expect(table.entries.map(\.content.count) == [2277, 2325, 1879])
    #expect(try table.bytes() == bytes)
    let certificates = try table.certificates()
    #expect(certificates.last == (try certificate(name + ".vcek.der")))
    let verifier = AttestationVerifier(trust: TrustAnchor.amd, time: .atIssue)
    #expect(
      verifier.verify(report: try Fixture.read(name + ".report.bin"), certificates: certificates)
        .isGenuine)
  }

  @Test func everyCutOfATableIsRefused() throws {
    let bytes = try CertificateTable([.init(.vcek, [1, 2]), .init(.ask, [3])]).bytes()
    #expect(bytes.count == 75)
    for length in bytes.indices {
      #expect(
        refusalCode { _ = try CertificateTable(Array(bytes[..<length])) } == .certificateTable,
        "\(length)"
      )
    }
  }

  /// Two entries at 0 and 24, the end at 48, contents of 4 bytes at 72 and 76.
  @Test(
    arguments: [
      (offset: 16, byte: 77, why: "overlaps the next"), (16, 71, "inside the list"),
      (16, 0, "inside the list"), (20, 5, "overlaps the next"), (20, 255, "beyond the table"),
      (23, 255, "beyond the table, past 32 bits"), (48, 1, "no end entry"),
      (64, 1, "an end entry that is not zero"),
    ] as [(Int, UInt8, String)])
  func aTableThatLiesIsRefused(offset: Int, byte: UInt8, why: String) throws {
    var bytes = try CertificateTable([
      .init(.vcek, [1, 2, 3, 4]), .init(.ask, [5, 6, 7, 8]),
    ]).bytes()
    _ = try CertificateTable(bytes)
    bytes[offset] = byte
    #expect(refusalCode { _ = try CertificateTable(bytes) } == .certificateTable, "\(why)")
  }

  @Test("An entry without content holds nothing, wherever it says that is")
  func anEmptyEntryLiesNowhere() throws {
    let table = CertificateTable([.init(.vcek, [1]), .init(.ask, []), .init(.ark, [2])])
    let bytes = try table.bytes()
    for start: UInt32 in [0, 1, 24, 97, 98, 99, 0x4000, .max] {
      var changed = bytes
      changed.replaceSubrange(40..<44, with: (0..<4).map { UInt8(start >> (8 * $0) & 0xFF) })
      #expect(try CertificateTable(changed) == table)
    }
  }

  @Test("What belongs to no entry is zero")
  func noByteOfATableIsHidden() throws {
    var bytes = try CertificateTable([.init(.vcek, [1, 2]), .init(.ask, [3])]).bytes()
    // A gap between the contents, and a tail.
    bytes[40] += 1
    bytes.insert(0, at: 74)
    bytes += [0, 0]
    #expect(try CertificateTable(bytes).entries.map(\.content) == [[1, 2], [3]])
    for place in [74, 76, 77] {
      var changed = bytes
      changed[place] = 9
      let said = refusal { _ = try CertificateTable(changed) }
      #expect(said?.code == .certificateTable)
      #expect(said?.offset == UInt64(place))
    }
  }

  @Test func aRepeatedEntryIsRefusedBothWays() throws {
    let table = CertificateTable([.init(.vcek, [1]), .init(.vcek, [2])])
    #expect(refusalCode { _ = try table.bytes() } == .certificateTable)
    var bytes = try CertificateTable([.init(.vcek, [1]), .init(.ask, [2])]).bytes()
    bytes.replaceSubrange(24..<40, with: bytes[0..<16])
    #expect(refusalCode { _ = try CertificateTable(bytes) } == .certificateTable)
  }

  @Test func anUnknownEntryIsKeptAndPassedOver() throws {
    var bytes = try CertificateTable([.init(.extra, [8]), .init(.crl, [2])]).bytes()
    bytes[0] ^= 1
    let table = try CertificateTable(bytes)
    #expect(table.entries.map(\.kind) == [nil, .crl])
    #expect(try table.bytes() == bytes)
    #expect(try table.certificates() == [])
  }

  @Test func aTableIsBounded() throws {
    let most = CertificateTable.limit - 48
    let table = CertificateTable([.init(.vcek, [UInt8](repeating: 0, count: most))])
    #expect(try table.bytes().count == CertificateTable.limit)
    _ = try CertificateTable(table.bytes())
    var larger = table
    larger.entries[0].content.append(0)
    #expect(refusalCode { _ = try larger.bytes() } == .certificateTable)
    #expect(refusalCode { _ = try CertificateTable(table.bytes() + [0]) } == .certificateTable)
  }
}
