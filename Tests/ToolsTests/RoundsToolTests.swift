import Errors
import JSON
import TestSupport
import Testing

/// `svsm-mig-save --round`.
@Suite struct RoundsToolTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.prepare("there")
  }

  private func make(_ round: Int, _ options: String = "--memory 512K") throws {
    try shop.must(
      "guest",
      "create -o @guest\(round) --vcpus 2 --seed 07 --converted-fraction 0.2 --round \(round) "
        + options)
  }

  private let keys = "--to @there.offer --trust @root.pem"

  @Test("a live migration brings the guest of the last round, and says its epochs")
  func aLiveMigrationBringsTheLastGuest() throws {
    for round in 0..<3 { try make(round) }
    let saved = try shop.must(
      "save", "@guest0 --round @guest1 --round @guest2 -o @stream \(keys)")
    #expect(saved.errors.contains(" in 3 epochs to "))
    let loaded = try shop.must(
      "load", "@stream --instance @there.svsm --trust @root.pem -o @out --json")
    #expect(loaded.errors.contains(" of 3 epochs, "))
    #expect(try JSON(parsing: loaded.output)["epochs"] == 3)
    try shop.requireSame("guest2", "out")
  }

  @Test("raw images are rounds too")
  func rawImagesAreRounds() throws {
    try shop.write("ram0", [UInt8](repeating: 1, count: 4 * 4096))
    try shop.write(
      "ram1", [UInt8](repeating: 1, count: 3 * 4096) + [UInt8](repeating: 2, count: 4096))
    try shop.must(
      "save", "@ram0 --round @ram1 -o @stream \(keys) --private 0x2000-0x3fff")
    try shop.must("load", "@stream --instance @there.svsm --trust @root.pem -o @out")
    #expect(try shop.read("out/ram-0.bin") == shop.read("ram1"))
  }

  @Test("a round of another shape is refused, and nothing is made")
  func aRoundOfAnotherShapeIsRefused() throws {
    try make(0)
    for (round, options) in ["--memory 256K", "--memory 512K --machine pc-q35-9.0"].enumerated() {
      try make(round + 1, options)
      try shop.run("save", "@guest0 --round @guest\(round + 1) -o @stream \(keys)")
        .requireRefusal(.guestShape)
    }
    #expect(try !shop.names(in: ".").contains("stream"))
  }

  @Test("no output is a round's own file")
  func noOutputIsARoundsOwnFile() throws {
    for round in 0..<2 { try make(round) }
    try shop.run("save", "@guest0 --round @guest1 -o @guest1/ram-0.bin --force \(keys)")
      .requireRefusal(.outputSame)
  }

  /// A trace is also written after a refusal, and a round is read late: a file that is found to be one of its
  /// own only then is lost.
  @Test(
    "neither a trace nor a recording replaces a file of a guest or of a round",
    arguments: ["--trace", "--record"],
    [
      "guest0/ram-0.bin", "guest1/guest.json", "guest2/vcpu-1.vmsa", "guest2/page-states.bin",
      "raw",
    ])
  func noOtherOutputIsARoundsOwnFile(option: String, file: String) throws {
    for round in 0..<3 { try make(round) }
    try shop.write("raw", [UInt8](repeating: 1, count: 4096))
    let before = try shop.read(file)
    let rounds = "--round @guest1 --round @guest2" + (file == "raw" ? " --round @raw" : "")
    try shop.run("save", "@guest0 \(rounds) -o @stream \(option) @\(file) --force \(keys)")
      .requireRefusal(.outputSame)
    #expect(try shop.read(file) == before)
    #expect(try !shop.names(in: ".").contains("stream"))
  }

  @Test("a round that is missing is known before anything is written")
  func aMissingRoundIsKnownAtTheStart() throws {
    for round in 0..<2 { try make(round) }
    try shop.run("save", "@guest0 --round @guest1 --round @none -o @stream --trace @trace \(keys)")
      .requireRefusal(.inputOpen)
    #expect(try !shop.names(in: ".").contains("stream"))
  }
}
