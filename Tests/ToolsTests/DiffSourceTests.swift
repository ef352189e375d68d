import Errors
import Foundation
import JSON
import TestSupport
import Testing

/// `svsm-mig-diff` of streams that are a part of a file, or have parts in other files.
@Suite struct DiffSourceTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  /// Runs the tool; in a value, too, `=@name` is a path in the folder.
  private func diff(_ line: String, input: String = "/dev/null") throws -> Program.Outcome {
    try shop.run("diff", line.replacing("=@", with: "=\(shop.path)/"), input: input)
  }

  private func expect(
    _ status: Int32, _ line: String, location: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = try diff(line)
    #expect(
      outcome.status == status, "\(outcome.text)\(outcome.errors)", sourceLocation: location)
    return outcome.text
  }

  @Test("Each side has its own channels, and what packed their pages makes no difference")
  func channelsAreOfASide() throws {
    for name in ["main", "qpl-0", "qpl-1", "multifd-0", "multifd-1"] {
      try shop.write(name, Fixture.read("channels/\(name).xz"))
    }
    let one = "--channel A=@qpl-0 --channel A=@qpl-1"
    let other = "--channel B=@multifd-0 --channel B=@multifd-1"
    #expect(try expect(0, "@main @main \(one) \(other)").hasSuffix("\nequal\n"))
    #expect(try expect(0, "@main @main --channel @qpl-0 --channel @qpl-1").hasSuffix("\nequal\n"))
    let piped = try diff("- @main \(one) \(other)", input: shop["main"])
    #expect(piped.status == 0, "\(piped.text)\(piped.errors)")
    let outcome = try diff("@main @main \(one)")
    outcome.requireRefusal(.ramMissing)
    #expect(outcome.errors.contains("--channel"), "\(outcome.errors)")
  }

  @Test("Two snapshots of one image are compared, and a snapshot with the stream that it is")
  func snapshotsAreCompared() throws {
    try shop.write("image", Fixture.read("qcow2/several-100.xz"))
    #expect(try expect(0, "@image @image --snapshot 4").hasSuffix("\nequal\n"))
    let text = try expect(1, "@image @image --snapshot A=1 --snapshot B=4")
    #expect(text.contains("memory: "), "\(text)")
    let outcome = try diff("@image @image --snapshot A=1")
    outcome.requireRefusal(.streamMagic)
    #expect(outcome.errors.contains("--snapshot one of the image"), "\(outcome.errors)")
    try diff("@image @image --snapshot none").requireRefusal(.imageSnapshot)
    try shop.write("other", Fixture.read("qcow2/v3-72.xz"))
    try shop.write("stream", Fixture.read("qcow2/stream-of-v3-72.xz"))
    #expect(
      try expect(0, "@stream @other --snapshot B=state --ignore file").hasSuffix("equal\n"))
  }

  @Test("A stream within a file is the stream")
  func aPartOfAFileIsAStream() throws {
    let stream = try Fixture.read("qemu/pc72-bios-reset/stream.xz")
    try shop.write("stream", stream)
    try shop.write("file", [UInt8](repeating: 7, count: 50) + stream + [1, 2, 3])
    let place = "--offset B=50 --length B=\(stream.count)"
    #expect(try expect(0, "@stream @file \(place)").hasSuffix("\nequal\n"))
    #expect(
      try expect(0, "@file @file --offset 50 --length \(stream.count)").hasSuffix("\nequal\n"))
    let hinted = try diff("@stream @file")
    hinted.requireRefusal(.streamMagic)
    #expect(hinted.errors.contains("--offset 0x32"), "\(hinted.errors)")
    let longer = try diff("@stream @file --offset B=50")
    longer.requireRefusal(.streamTrailing)
    #expect(longer.errors.contains("--length"), "\(longer.errors)")
  }

  @Test("Memory in a file is compared where the file is given, and else it is said that it is not")
  func memoryInAFileIsCompared() throws {
    let call = try QEMUCase(name: "pc72-boot-ignore-shared").unpack(into: shop)
    let memory = try Fixture.read("qemu/pc72-boot/pc.ram.bin.xz")
    try shop.write("memory", memory)
    var changed = memory
    changed[0x5005] ^= 2
    try shop.write("changed", changed)
    let given = "--memory A=pc.shared=@memory"
    let text = try expect(1, "\(call) \(call) \(given) --memory B=pc.shared=@changed")
    #expect(text.contains("memory: 1 page of pc.shared is zero in A only: "), "\(text)")
    #expect(
      try expect(0, "\(call) \(call) --memory pc.shared=@memory").hasSuffix("\nequal\n"))
    let partly = try expect(1, "\(call) \(call) \(given)")
    #expect(partly.contains("\n  leftOut  no → yes\n"), "\(partly)")
    #expect(partly.contains("not compared: memory that is left to other files"), "\(partly)")
    #expect(!partly.contains("of pc.shared"), "\(partly)")
  }

  @Test("What a side cannot have is refused, with what it is for")
  func whatASideCannotHaveIsRefused() throws {
    try shop.makeGuest()
    try shop.write("stream", Fixture.read("qemu/pc72-bios-reset/stream.xz"))
    try shop.write("snp", Fixture.read("golden/tiny/stream.mig"))
    for (line, words) in [
      ("@guest @stream --offset 0x0 --length 5", "A= or B= in front of a value"),
      ("@guest @stream --channel A=@stream", "a plain QEMU stream for --channel"),
      ("@snp @stream --memory A=pc.ram=@stream", "a plain QEMU stream for --channel, --memory"),
    ] {
      let outcome = try diff(line)
      outcome.requireRefusal(.streamKind)
      #expect(outcome.errors.contains(words), "\(outcome.errors)")
    }
    try shop.write("memory", [UInt8](repeating: 3, count: 8192))
    let outcome = try diff("@memory @stream")
    outcome.requireRefusal(.streamMagic)
    #expect(outcome.errors.contains("svsm-mig-guest import makes of memory"), "\(outcome.errors)")
  }

  /// `script` gives the tool a terminal, and the pipe takes longer than a line waits.
  @Test(
    "A terminal sees how far it has come, and with --quiet nothing", arguments: ["diff", "verify"])
  func progressIsShown(tool: String) throws {
    for name in ["qemu/pc72-bios-reset/stream.xz", "golden/tiny/stream.mig"] {
      try shop.write("stream", Fixture.read(name))
      let other = tool == "diff" ? shop["stream"] : ""
      let stream = shop["stream"]
      let slowly = "{ head -c 40000 \(stream); sleep 0.5; tail -c +40001 \(stream); }"
      for (option, isShown) in [("", true), (" -q", false)] {
        let line = "\(slowly) | \(Program.tool("svsm-mig-\(tool)")) - \(other)\(option)"
        let outcome = try #require(Program.run(["script", "-q", "-e", "-c", line, "/dev/null"]))
        let verb = tool == "diff" ? "reading" : "verifying"
        #expect(outcome.text.contains("\(verb)  ") == isShown, "\(outcome.text)")
      }
    }
  }
}
