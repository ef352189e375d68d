import TestSupport
import Testing

/// Whichever byte of its front is damaged: an SNP stream is refused with one code by verify and load.
@Suite struct StreamKindTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    for name in ["destination.svsm", "root.pem"] {
      try shop.write(name, try Fixture.read("golden/\(name)"))
    }
  }

  /// What stands in brackets in the line of a refusal; nil when a tool refuses nothing.
  private func code(_ tool: String, _ options: String = "") throws -> String? {
    let outcome = try shop.run(tool, "@damaged --trust @root.pem \(options)")
    let line = outcome.errors.split(separator: "\n").first { $0.contains("refused [") }
    return line?.split(separator: "[").dropFirst().first?.split(separator: "]").first
      .map(String.init)
  }

  private func expectOneCode(_ stream: [UInt8], _ what: String) throws {
    try shop.write("damaged", stream)
    let keys = "--instance @destination.svsm"
    let loaded = try code("load", "\(keys) --accept-seeded -o @guest")
    #expect(loaded != nil, "\(what)")
    #expect(try code("verify") == loaded, "\(what)")
    #expect(try code("verify", keys) == loaded, "\(what), with keys")
  }

  /// Every byte of the configuration and of the session's header, in parts that run side by side.
  @Test(arguments: 0..<4) func aDamagedByteIsSaidAlike(part: Int) throws {
    let golden = try Fixture.read("golden/tiny/stream.mig")
    for place in stride(from: 8 + part, to: 49, by: 4) {
      for mask: UInt8 in [1, 0xff] {
        var stream = golden
        stream[place] ^= mask
        try expectOneCode(stream, "byte \(place) with \(mask)")
      }
    }
  }

  @Test(arguments: [0, 1, 2, 3, 4, 5, 6, 8, 0x7e] as [UInt8])
  func anyTypeInPlaceOfAnotherIsSaidAlike(type: UInt8) throws {
    let golden = try Fixture.read("golden/tiny/stream.mig")
    for place in [8, 24] where golden[place] != type && !(place == 24 && type == 1) {
      var stream = golden
      stream[place] = type
      try expectOneCode(stream, "type \(type) at byte \(place)")
    }
  }

  @Test func anSNPStreamBehindACommandIsNoPlainOne() throws {
    var stream = try Fixture.read("golden/tiny/stream.mig")
    stream.insert(contentsOf: [8, 0, 1, 0, 0], at: 24)
    try expectOneCode(stream, "a command")
  }

  /// A guest chooses what is in its memory: that must not make a plain stream another.
  @Test func aPlainStreamWhoseMemoryNamesASessionStaysPlain() throws {
    var stream: [UInt8] = []
    stream += Array("QEVM".utf8) + [0, 0, 0, 3]
    // Section start, `ram`: one block of one page, then the page in a part, then the end.
    stream += [1, 0, 0, 0, 2, 3] + Array("ram".utf8) + [0, 0, 0, 0, 0, 0, 0, 4]
    stream += [0, 0, 0, 0, 0, 0, 0x10, 0x04, 1, 0x72, 0, 0, 0, 0, 0, 0, 0x10, 0]
    stream += [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7e, 0, 0, 0, 2, 2, 0, 0, 0, 2]
    stream += [0, 0, 0, 0, 0, 0, 0, 8, 1, 0x72]
    let marker = [11] + Array("snp-session".utf8)
    stream += marker + [UInt8](repeating: 0, count: 4096 - marker.count)
    stream += [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7e, 0, 0, 0, 2, 3, 0, 0, 0, 2]
    stream += [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7e, 0, 0, 0, 2, 0]
    try shop.write("plain", stream)
    let text = try shop.must("verify", "@plain").text
    #expect(text.hasPrefix("intact: ") && text.contains("of 4 properties"), "\(text)")
  }
}
