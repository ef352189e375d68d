import Errors
import Foundation
import JSON
import TestSupport
import Testing
import Wire

/// `svsm-mig-load --until`: memory as it was at a moment within a stream. The ground truth is what
/// `svsm-mig-guest create --round` makes.
@Suite struct ReplayToolTests {
  private let shop: Workshop
  private let keys = "--instance @destination.svsm --trust @root.pem --accept-seeded"

  init() throws {
    shop = try Workshop()
    for name in ["destination.svsm", "root.pem"] {
      try shop.write(name, try Fixture.read("golden/\(name)"))
    }
    try shop.write("stream", Fixture.read("golden/rounds/stream.mig"))
  }

  /// The state of each page of a bundle, by its page number.
  private func states(_ guest: String) throws -> [UInt8] {
    let runs = try shop.read("\(guest)/page-states.bin")
    return stride(from: 0, to: runs.count, by: 24).flatMap { run in
      let pages = runs[run + 8..<run + 16].reduce(0) { $0 << 8 | Int($1) }
      return [UInt8](repeating: runs[run + 16], count: pages)
    }
  }

  @Test("the end of each epoch of the golden stream is the guest of that round")
  func anEpochIsTheGuestOfItsRound() throws {
    let creation = try #require(GoldenStream.rounds).creation
    let rounds = GoldenStream.roundNumbers
    var history: [(states: [UInt8], memory: [UInt8])] = []
    for (index, round) in rounds.enumerated() {
      try shop.must(
        "guest", "create -o @guest-\(round) \(creation) --round \(round)")
      history.append((try states("guest-\(round)"), try shop.read("guest-\(round)/ram-0.bin")))
      try shop.must("load", "@stream --until epoch:\(index + 1) -o @at-\(round) \(keys)")
      try shop.must(
        "load",
        "@stream --until epoch:\(index + 1) -o @raw-\(round) --output-format raw --jobs 3 \(keys)")
      let memory = try shop.read("at-\(round)/ram-0.bin")
      #expect(try shop.read("raw-\(round)") == memory)
      let now = try #require(history.last)
      #expect(memory.count == now.memory.count && now.states.count * 4096 == memory.count)
      var forgotten = 0
      for page in now.states.indices {
        let place = page * 4096..<(page + 1) * 4096
        // State 3 is unaccepted, 1 shared. A guest says nothing when it frees what it shared.
        let last = history.last { $0.states[page] != 3 }
        let isForgotten = now.states[page] == 3 && last?.states[page] == 1
        forgotten += isForgotten ? 1 : 0
        #expect(
          memory[place] == (isForgotten ? last?.memory[place] : now.memory[place]),
          "round \(round), page \(page)")
      }
      #expect(forgotten < now.states.count / 4)
    }
  }

  @Test("the instance stays as it is, and one that has served its migration can replay")
  func theInstanceStays() throws {
    let before = try shop.read("destination.svsm")
    try shop.must("load", "@stream --until epoch:2 -o @at \(keys)")
    #expect(try shop.read("destination.svsm") == before)
    try shop.must("load", "@stream -o @whole \(keys)")
    let used = try shop.read("destination.svsm")
    #expect(used != before)
    try shop.must("load", "@stream --until epoch:2 -o @again \(keys)")
    #expect(try shop.read("destination.svsm") == used)
    #expect(try shop.read("again/ram-0.bin") == shop.read("at/ram-0.bin"))
    #expect(try shop.mode("at/ram-0.bin") == 0o600)
  }

  @Test("what is made says that it is incomplete, and is no guest to save")
  func itSaysWhatItIs() throws {
    let loaded = try shop.must("load", "@stream --until epoch:2,pages:3 -o @at --json \(keys)")
    #expect(loaded.errors.contains("replayed to epoch 2, after 3 of its page records: "))
    #expect(loaded.errors.contains("it is marked as incomplete"))
    let result = try JSON(parsing: loaded.output)
    #expect(result["epoch"] == 2 && result["pageRecords"] == 3)
    let shown = try shop.must("guest", "show @at")
    #expect(shown.text.contains("moment    epoch 2, after 3 of its page records: incomplete"))
    let exported = try shop.must("guest", "export @at -o @memory")
    #expect(exported.errors.contains("incomplete: memory as it was at epoch 2, after 3"))
    #expect(try shop.read("memory") == shop.read("at/ram-0.bin"))
    try shop.must("guest", "export @at -o @core --format elf")
    try shop.prepare("there")
    try shop.run("save", "@at -o @saved --to @there.offer --trust @root.pem")
      .requireRefusal(.guestIncomplete)
    try shop.must("guest", "create -o @guest --memory 96K --seed 02")
    try shop.run("save", "@guest --round @at -o @saved --to @there.offer --trust @root.pem")
      .requireRefusal(.guestIncomplete)
    #expect(!shop.exists("saved"))
  }

  @Test("what cannot be replayed leaves nothing")
  func whatCannotBeReplayedLeavesNothing() throws {
    let before = try shop.names
    for moment in ["epoch:4", "epoch:1,pages:100000"] {
      try shop.run("load", "@stream --until \(moment) -o @at \(keys)").requireRefusal(.epochMissing)
    }
    for options in [
      "--until 2", "--until epoch:0", "--until epoch:1 --output-format qemu",
      "--until epoch:1 --abort",
    ] {
      #expect(try shop.run("load", "@stream \(options) -o @at \(keys)").status == 64)
    }
    #expect(try shop.names == before)
  }
}
