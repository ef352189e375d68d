import Errors
import Foundation
import JSON
import TestSupport
import Testing

/// Streams of x-ignore-shared, which leave RAM blocks to other files, and the option `--memory`.
@Suite struct LeftOutMemoryTests {
  private let shop: Workshop
  private static let plain = QEMUCase(name: "pc72-boot-ignore-shared")

  init() throws { shop = try Workshop() }

  /// A call with the folder's path in place of each `@` within a word.
  private func line(_ call: String) -> String { call.replacing("=@", with: "=\(shop.path)/") }

  private func block(_ name: String, of shown: JSON) throws -> JSON {
    try #require(shown["ramBlocks"]?.array?.first { $0["name"]?.string == name })
  }

  /// Unpacks a file of `Fixtures/left-out`.
  private func unpack(_ names: String...) throws {
    for name in names { try shop.write(name, Fixture.read("left-out/\(name).xz")) }
  }

  @Test("A stream without its main memory is never called whole")
  func whatIsLeftOutIsNamed() throws {
    let call = try Self.plain.unpack(into: shop)
    let shown = try shop.must("inspect", "\(call) --ram-hashes --json").json
    #expect(shown["capabilities"] == ["x-ignore-shared"])
    #expect(shown["leftOut"] == ["pc.shared"] && shown["complete"] == false)
    let main = try block("pc.shared", of: shown)
    #expect(main["sha256"]?.isNull == true && main["missingPages"] == 2048)
    let others = QEMUCase.blocks(in: shown).filter { $0[0] != "pc.shared" }
    #expect(others == (try Self.plain.blocks).filter { $0[0] != "pc.shared" })
    let text = try shop.must("inspect", call).text
    #expect(text.contains("not whole") && text.contains("--memory pc.shared=FILE"))
    let ledger = try shop.must("verify", call).text
    #expect(ledger.contains("not checkable  structure"))
    #expect(ledger.contains("nothing of pc.shared") && ledger.contains("--memory pc.shared=FILE"))
    let outcome = try shop.run("guest", "import \(call) -o @guest")
    outcome.requireRefusal(.ramMissing)
    #expect(outcome.errors.contains("--memory pc.shared=FILE"), "\(outcome.errors)")
    #expect(!shop.exists("guest"))
  }

  @Test("A block that is left to a file is taken from it")
  func aBlockIsTakenFromItsFile() throws {
    let call = try Self.plain.unpack(into: shop)
    let memory = try Fixture.read("qemu/pc72-boot/pc.ram.bin.xz")
    try shop.write("memory", memory)
    let given = line(call + " --memory pc.shared=@memory")
    #expect(try shop.must("verify", given).text.contains("proven         structure"))
    let shown = try shop.must("inspect", "\(given) --ram-hashes --json").json
    #expect(shown["complete"] == true && shown["leftOut"] == nil)
    let hash = try Program.sha256(of: shop["memory"])
    #expect(try block("pc.shared", of: shown)["sha256"]?.string == hash)
    try shop.must("guest", "import \(given) -o @guest --ram pc.shared")
    #expect(try shop.read("guest/ram-0.bin") == memory || shop.read("guest/ram-1.bin") == memory)
    #expect(try shop.read("memory") == memory)
  }

  @Test("The bundle is that of a stream which has all memory itself")
  func theBundleIsTheSame() throws {
    try unpack("mapped-100", "mapped-left-out", "mem0")
    let left = line("@mapped-left-out --memory mem0=@mem0")
    try shop.must("guest", "import @mapped-100 -o @whole --ram mem0")
    try shop.must("guest", "import \(left) -o @put-together --ram mem0")
    for name in try shop.names(in: "whole") {
      #expect(try shop.read("whole/\(name)") == shop.read("put-together/\(name)"), "\(name)")
    }
    #expect(try shop.names(in: "whole") == shop.names(in: "put-together"))
    let open = try shop.must("inspect", "@mapped-left-out --ram-hashes --json").json
    #expect(open["leftOut"] == ["mem0"])
    #expect(try block("mem0", of: open)["sha256"]?.isNull == true)
    #expect(try shop.must("verify", "@mapped-left-out").text.contains("nothing of mem0"))
    #expect(try shop.must("verify", left).text.contains("proven         structure"))
    try shop.run("guest", "import @mapped-left-out -o @none --ram mem0").requireRefusal(.ramMissing)
    // What is in the stream is not asked for twice.
    try shop.run("verify", line("@mapped-100 --memory mem0=@mem0")).requireRefusal(.ramBlock)
  }

  @Test("A guest is saved out of such a stream and its file")
  func aGuestIsSaved() throws {
    try unpack("mapped-left-out", "mem0")
    try shop.prepare("there")
    let call = "@mapped-left-out --ram mem0 --to @there.offer --trust @root.pem -o @saved"
    try shop.run("save", call).requireRefusal(.ramMissing)
    #expect(!shop.exists("saved"))
    try shop.must("save", line(call + " --memory mem0=@mem0"))
    try shop.run("save", line("\(call) --force --memory mem0=@saved"))
      .requireRefusal(.outputSame)
  }

  @Test("Memory that is no such block's is refused")
  func otherMemoryIsRefused() throws {
    let call = try Self.plain.unpack(into: shop)
    try shop.write("memory", [UInt8](repeating: 0, count: 8 << 20))
    try shop.write("short", [UInt8](repeating: 0, count: 4096))
    try shop.write("bios", [UInt8](repeating: 0, count: 0x40000))
    for option in [
      "pc.shared=@short", "pc.other=@memory", "pc.bios=@memory", "pc.bios=@bios",
      "pc.shared=@memory --memory pc.shared=@memory",
    ] {
      for tool in ["inspect", "verify"] {
        try shop.run(tool, line("\(call) --memory \(option)")).requireRefusal(.ramBlock)
      }
    }
    try shop.run("inspect", line("\(call) --memory pc.shared=@missing")).requireRefusal(.inputOpen)
    try shop.run("inspect", "\(call) --memory pc.shared=/dev/zero").requireRefusal(.inputKind)
    for option in ["pc.shared", "=@memory", "pc.shared="] {
      #expect(try shop.run("inspect", "\(call) --memory \(option)").status == 64)
    }
    let whole = try QEMUCase.named("pc72-boot").unpack(into: shop)
    try shop.run("inspect", line("\(whole) --memory pc.ram=@memory")).requireRefusal(.ramBlock)
  }

  @Test("Holes of the file stay holes")
  func holesStayHoles() throws {
    try unpack("mapped-left-out")
    try shop.write("memory", [1])
    try shop.truncate("memory", to: 8 << 20)
    try shop.must(
      "guest", line("import @mapped-left-out -o @guest --ram mem0 --memory mem0=@memory"))
    #expect(try shop.read("guest/ram-0.bin") == shop.read("memory"))
    let stored = try #require(Program.run(["du", "-k", shop["guest/ram-0.bin"]]))
    let size = try #require(stored.text.split(separator: "\t").first.flatMap { Int($0) })
    #expect(size < 1024)
  }
}
