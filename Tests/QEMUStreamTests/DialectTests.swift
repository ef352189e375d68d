import Errors
import JSON
import QEMUStream
import TestSupport
import Testing

/// Streams of confidential guests that forks of QEMU write (`Formats/dialects.md`).
@Suite struct DialectTests {
  @Test(
    "A golden stream is walked to its end, told to be what it is, and nothing is wrong with it",
    arguments: ConfidentialCase.names)
  func aGoldenIsWhole(name: String) throws {
    let golden = try ConfidentialCase(name)
    #expect(ConfidentialCase.findings(in: golden.bytes) == [])
    let facts = try ConfidentialCase.walk(golden.bytes, refuse: MigrationError.refuse)
    let known = golden.facts["confidential"]
    #expect(facts.dialect?.rawValue == known?["dialect"]?.string)
    #expect(facts.pages.records == known?["pages"]?["records"]?.uint)
    #expect(facts.pages.distinct == known?["pages"]?["distinct"]?.uint)
    #expect(facts.cpuStates.count == known?["cpuStates"]?.array?.count)
    #expect(facts.epochs.count == known?["epochs"]?.array?.count)
  }

  @Test(
    "A stream is read alike however little comes at once", arguments: ConfidentialCase.names)
  func piecesDoNotMatter(name: String) throws {
    let golden = try ConfidentialCase(name)
    let facts = try ConfidentialCase.walk(
      golden.bytes, pieceSize: 7, refuse: MigrationError.refuse)
    #expect(facts.dialect != nil)
    #expect(facts.pages.records == golden.facts["confidential"]?["pages"]?["records"]?.uint)
  }

  @Test("Who does not ask for dialects gets none", arguments: ConfidentialCase.names)
  func dialectsAreAskedFor(name: String) throws {
    let golden = try ConfidentialCase(name)
    let code = refusalCode { _ = try SmallStreams.walk(golden.bytes) }
    let isTDX = name.hasPrefix("intel")
    #expect(code == (isTDX ? .sectionType : .ramFlags))
  }

  @Test(
    "Every changed byte of a header is found, with its place",
    arguments: ConfidentialCase.names)
  func everyFlipIsFound(name: String) throws {
    let golden = try ConfidentialCase(name)
    var bytes = golden.bytes
    #expect(golden.checked.count > 100)
    for (offset, masks) in golden.checked {
      for mask in masks {
        bytes[offset] ^= mask
        let findings = ConfidentialCase.findings(in: bytes)
        if findings.isEmpty { Issue.record("byte 0x\(String(offset, radix: 16)) ^ \(mask)") }
        #expect(findings.allSatisfy { $0.offset != nil && $0.code.isRefusal })
        bytes[offset] ^= mask
      }
    }
  }

  @Test("Every cut is found: in headers at every byte", arguments: ConfidentialCase.names)
  func everyCutIsFound(name: String) throws {
    let golden = try ConfidentialCase(name)
    // The description behind the sections may be cut off whole: a plain stream does without one.
    let end = golden.bytes.lastIndex(of: 0x00) ?? golden.bytes.count
    let places = Set(golden.checked.map(\.offset) + Array(stride(from: 0, to: end - 512, by: 509)))
    for place in places {
      let findings = ConfidentialCase.findings(in: Array(golden.bytes[..<place]))
      if findings.isEmpty { Issue.record("cut at 0x\(String(place, radix: 16))") }
    }
  }

  @Test("A record that is dropped is found in TDX, where bundles are numbered")
  func aDroppedBundleIsFound() throws {
    let golden = try ConfidentialCase(.intelTDX)
    // A memory bundle with its word: 8 + 4 + 48 + 4096 + 8 + 16 bytes, the one before last of its round.
    let size = 8 + 4 + 48 + 4096 + 8 + 16
    let word: [UInt8] = [0, 0, 0, 0, 0, 0, 0x14, 0x20]
    let start = try #require(
      golden.bytes.indices.first { Array(golden.bytes[$0...].prefix(8)) == word })
    var bytes = golden.bytes
    bytes.removeSubrange(start..<start + size)
    let codes = Set(ConfidentialCase.findings(in: bytes).map(\.code))
    for code in [ErrorCode.pageSequence, .epochCount, .ramMissing] {
      #expect(codes.contains(code), "\(code.rawValue)")
    }
  }

  @Test("A record of one dialect in a stream of another is refused")
  func dialectsDoNotMix() throws {
    let tdx = try ConfidentialCase(.intelTDX)
    // Without the byte that begins a TDX guest its words are Hygon's, of a kind there is not.
    let header = 8 + 5 + "pc-q35-8.1".utf8.count
    let bundle = 1 + 4 + 48 + 4 * 4096
    var bytes = tdx.bytes
    bytes.removeSubrange(header..<header + bundle)
    #expect(ConfidentialCase.findings(in: bytes).first?.code == .ramFlags)
    for (one, flag) in [(ConfidentialDialect.amdSEV, UInt8(0x04)), (.openEulerSEV, 0x02)] {
      let golden = try ConfidentialCase(one)
      var bytes = golden.bytes
      // The second page's word: the other family's flag.
      let place = try #require(
        bytes.indices.first {
          Array(bytes[$0...].prefix(6)) == [0, 0, 0, 0, 0, 0]
            && bytes[$0 + 6] & 0xF0 == 0x10 && bytes[$0 + 7] == 0x20
        })
      bytes[place + 6] = 0x10 | flag
      #expect(ConfidentialCase.findings(in: bytes).first?.code == .ramFlags)
    }
    // The byte that begins a TDX guest, in front of a stream of another.
    let csv = try ConfidentialCase(.hygonCSV2)
    let start = tdx.bytes[header..<header + bundle]
    let mixed = Array(csv.bytes[..<header]) + start + Array(csv.bytes[header...])
    #expect(
      ConfidentialCase.findings(in: mixed).first?.code == .sectionOrder
        || ConfidentialCase.findings(in: mixed).first?.code == .sectionLength)
  }

  @Test("A length that cannot be takes no memory", arguments: ConfidentialCase.names)
  func hostileLengthsAreBounded(name: String) throws {
    let golden = try ConfidentialCase(name)
    for (offset, _) in golden.checked where offset + 4 <= golden.bytes.count {
      var bytes = Array(golden.bytes[..<offset])
      bytes += [0xFF, 0xFF, 0xFF, 0xFF]
      #expect(!ConfidentialCase.findings(in: bytes).isEmpty)
    }
  }

  @Test("A flush of channels is no record of AMD's, and a page at the front of a block is one")
  func aFlushIsTold() throws {
    let amd = try ConfidentialCase(.amdSEV)
    #expect(try ConfidentialCase.walk(amd.bytes, refuse: MigrationError.refuse).dialect == .amdSEV)
    // The same stream with QEMU's own word in front of the end of its second body.
    let end: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7e, 0, 0, 0, 2]
    let places = amd.bytes.indices.filter { Array(amd.bytes[$0...].prefix(end.count)) == end }
    try #require(places.count == 3)
    let mixed =
      Array(amd.bytes[..<places[1]]) + [0, 0, 0, 0, 0, 0, 2, 0] + Array(amd.bytes[places[1]...])
    #expect(ConfidentialCase.findings(in: mixed).first?.code == .ramFlags)
    let before =
      Array(amd.bytes[..<places[0]]) + [0, 0, 0, 0, 0, 0, 2, 0] + Array(amd.bytes[places[0]...])
    #expect(ConfidentialCase.findings(in: before).isEmpty)
  }
}
