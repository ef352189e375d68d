import Errors
import Migration
import MigrationSupport
import QEMUStream
import Testing
import Wire

/// Pages that are packed are unpacked by whoever says that a stream is whole.
@Suite struct PackedPageTests {
  /// A block of two pages: the first comes plain, then as `record` says; the second is zero.
  private func stream(_ flag: UInt64, _ record: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    let ram = RAMEncoder(blocks: [RAMBlock(name: "pc.ram", length: 0x2000)])
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "pc-q35-7.2"))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    ram.appendBlockList(to: &bytes)
    bytes.append(bigEndian: UInt64(RAMFlags.page))
    bytes.append(name: "pc.ram")
    bytes += [UInt8](repeating: 0xC3, count: 4096)
    bytes.append(bigEndian: UInt64(flag | RAMFlags.continue))
    bytes += record
    bytes.append(bigEndian: UInt64(0x1000 | RAMFlags.zero | RAMFlags.continue))
    bytes.append(0)
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.appendEOF()
    return bytes
  }

  private func delta(_ delta: [UInt8]) -> [UInt8] {
    stream(RAMFlags.xbzrle, [1, UInt8(delta.count >> 8), UInt8(delta.count & 0xFF)] + delta)
  }

  private func compressed(_ payload: [UInt8]) -> [UInt8] {
    var record: [UInt8] = []
    record.append(bigEndian: UInt32(payload.count))
    return stream(RAMFlags.compressed, record + payload)
  }

  /// A zlib stream (RFC 1950) of `count` bytes in one block that is not compressed.
  private func zlib(count: Int) -> [UInt8] {
    let content = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let (low, high) = (UInt8(count & 0xFF), UInt8(count >> 8))
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in content {
      a = (a + UInt32(byte)) % 65521
      b = (b + a) % 65521
    }
    var bytes: [UInt8] = [0x78, 1, 1, low, high, ~low, ~high] + content
    bytes.append(bigEndian: b << 16 | a)
    return bytes
  }

  private func requireRefusal(_ stream: [UInt8], _ what: String) throws {
    let report = try Lab.verifyPlain(stream)
    #expect(report.refusal?.code == .ramData, "\(what)")
    #expect(report.refusal?.offset != nil)
    let refusal = #expect(throws: MigrationError.self) { try Lab.seal(stream) }
    #expect(refusal == report.refusal, "\(what)")
  }

  @Test func whatUnpacksIsProvenAndSealed() throws {
    for good in [
      delta([0x40, 1, 0xCC]), delta([0xFF, 0x1F, 1, 9]), compressed(zlib(count: 4096)),
    ] {
      let report = try Lab.verifyPlain(Lab.seal(good))
      #expect(report.refusal == nil)
      guard case .proven = report.outcome(of: .structure) else {
        Issue.record("structure is not proven")
        return
      }
    }
  }

  @Test(
    arguments: [
      [1], [1, 0], [1, 5, 9, 9], [0, 1, 9, 0, 1, 9], [0xFF, 0x1F, 2, 9, 9], [0x80, 0x80, 1, 9],
    ] as [[UInt8]])
  func aDeltaThatFitsNoPageIsRefused(bytes: [UInt8]) throws {
    try requireRefusal(delta(bytes), "\(bytes)")
  }

  @Test func aPageThatDoesNotUnpackIsRefused() throws {
    for count in [4095, 4097] { try requireRefusal(compressed(zlib(count: count)), "\(count)") }
    let good = zlib(count: 4096)
    try requireRefusal(compressed(good + [0]), "a byte behind it")
    try requireRefusal(compressed(good.dropLast() + [~good[good.count - 1]]), "its checksum")
    try requireRefusal(compressed(Array(good.dropLast(9))), "cut")
  }
}
