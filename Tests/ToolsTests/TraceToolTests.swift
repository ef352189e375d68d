import Errors
import Import
import Inspection
import JSON
import QEMUStream
import TestSupport
import Testing
import Tools

/// `--trace` of save, load and verify.
@Suite struct TraceToolTests {
  private let shop: Workshop
  private let keys = "--instance @destination.svsm --trust @root.pem"

  init() throws {
    shop = try Workshop()
    for name in ["destination.svsm", "destination.offer", "root.pem"] {
      try shop.write(name, try Fixture.read("golden/\(name)"))
    }
    try shop.write("stream", Fixture.read("golden/rounds/stream.mig"))
  }

  private func lines(_ name: String) throws -> [JSON] {
    try shop.text(name).split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
  }

  private func difference(_ first: String, _ second: String) throws -> TraceDifference? {
    let traces = try [first, second].map {
      NamedTrace(ArraySource(try shop.read($0)), named: $0)
    }
    return try firstDifference(of: traces[0], and: traces[1], ignoring: ["side"])
  }

  @Test("the traces of the golden rounds are what they always were, with any number of threads")
  func goldenTracesStay() throws {
    let scenario = try #require(GoldenStream.rounds)
    var guests = ""
    for (index, round) in GoldenStream.roundNumbers.enumerated() {
      try shop.must(
        "guest", "create -o @guest-\(round) \(scenario.creation) --round \(round)")
      guests += (index == 0 ? "@" : " --round @") + "guest-\(round)"
    }
    for jobs in [1, 4] {
      let options = "--jobs \(jobs) --force"
      try shop.must(
        "save",
        "\(guests) -o @saved --to @destination.offer --trust @root.pem --seed 03 --trace @save "
          + options)
      #expect(try shop.read("save") == scenario.golden("save.jsonl"))
      try shop.must("verify", "@stream \(keys) --trace @verify --jobs \(jobs)")
      #expect(try shop.read("verify") == scenario.golden("verify.jsonl"))
      try shop.remove("verify")
      try shop.write("once.svsm", shop.read("destination.svsm"))
      try shop.must(
        "load",
        "@stream --instance @once.svsm --trust @root.pem --accept-seeded -o @out --trace @load "
          + options)
      #expect(try shop.read("load") == scenario.golden("load.jsonl"))
    }
    #expect(try shop.mode("load") == 0o600)
  }

  @Test("a trace has the members that the text has, and no others")
  func theTextHasEveryMember() throws {
    let rows = try Repository.text("Formats/replay.md").split(separator: "\n")
      .filter { $0.hasPrefix("| `") }.compactMap { $0.split(separator: "`").dropFirst().first }
    let documented = Set(rows.map(String.init))
    var seen: Set<String> = []
    func note(_ json: JSON, below: String) {
      for member in json.members ?? [] {
        let path = below + member.key
        seen.insert(path)
        note(member.value, below: path + ".")
        for element in member.value.array ?? [] { note(element, below: path + "[].") }
      }
    }
    for name in ["save", "load", "verify"] {
      let text = try Fixture.text("golden/rounds/\(name).jsonl")
      for line in text.split(separator: "\n") {
        note(try JSON(parsing: Array(line.utf8)), below: "")
      }
    }
    #expect(seen.subtracting(documented).isEmpty)
    #expect(seen.count > 25)
  }

  @Test("every line of a trace is as its schema says, and the schema lets nothing else pass")
  func everyLineIsAsTheSchemaSays() throws {
    let schema = try JSONSchema("Formats/trace.schema.json")
    for name in ["save", "load", "verify"] {
      for line in try Fixture.text("golden/rounds/\(name).jsonl").split(separator: "\n") {
        #expect(try schema.problems(of: JSON(parsing: Array(line.utf8))) == [], "\(name)")
      }
    }
    let text = try Fixture.text("golden/rounds/save.jsonl")
    let calls = try Set(
      text.split(separator: "\n").compactMap { try JSON(parsing: Array($0.utf8))["call"]?.string })
    #expect(calls.count == 9)
    let step = try #require(text.split(separator: "\n").first { $0.contains("migrate-again") })
    for (part, other) in [
      ("migrate-again", "migrate-twice"), ("0x", "0X"), ("\"counts\"", "\"count\""),
      ("\"step\": ", "\"step\": -"), ("\"package-pages\"", "\"package\""),
      ("\"exporting\"", "\"running\""), ("\"epoch\": 2", "\"epoch\": 0"),
      ("\"pages\": 1", "\"pages\": 1, \"key\": 1"),
    ] {
      let changed = step.replacing(part, with: other)
      #expect(changed != step, "\(part)")
      #expect(try schema.problems(of: JSON(parsing: Array(changed.utf8))) != [], "\(part)")
    }
  }

  @Test("the trace of a refused load remains, and ends with the refusal")
  func theTraceOfARefusedLoadRemains() throws {
    var stream = try shop.read("stream")
    let whole = try Fixture.text("golden/rounds/load.jsonl").split(separator: "\n")
    let token = try #require(whole.first { $0.contains("process-epoch-token") })
    let offset = try #require(JSON(parsing: Array(token.utf8))["offset"]?.int)
    stream[offset + 120] ^= 1
    try shop.write("damaged", stream)
    try shop.run("load", "@damaged \(keys) --accept-seeded -o @out --trace @trace")
      .requireRefusal(.epochTag)
    #expect(!shop.exists("out"))
    let last = try #require(lines("trace").last)
    #expect(last["refused"] == "EPOCH-TAG" && last["after"] == "dead")
    #expect(last["offset"]?.int == offset)
    try shop.write("whole", Fixture.read("golden/rounds/load.jsonl"))
    let found = try #require(try difference("trace", "whole"))
    #expect(found.fields.map(\.name).contains("refused"))
    let text = found.text("trace", "whole")
    #expect(
      text.hasPrefix(
        "step \(found.step) is the first that differs: process-epoch-token in epoch 1 at byte 0x"))
    #expect(text.contains("\n  refused: EPOCH-TAG → none\n"))
    let json = TraceDifference.json(found, "trace", "whole")
    #expect(json["equal"] == false && json["step"]?.uint == found.step)
    #expect(TraceDifference.json(nil, "a", "b")["equal"] == true)
  }

  @Test("a trace says what came first, when one trace ends or the sides differ")
  func everyDifferenceIsSaid() throws {
    for name in ["load", "save"] {
      try shop.write(name, Fixture.read("golden/rounds/\(name).jsonl"))
    }
    let text = try shop.text("load").split(separator: "\n").dropLast().joined(separator: "\n")
    try shop.write("short", text)
    let shorter = try #require(try difference("short", "load"))
    #expect(shorter.text("A", "B").hasPrefix("step \(shorter.step) is only in B: process-commit"))
    let sides = try firstDifference(
      of: NamedTrace(ArraySource(try shop.read("load")), named: "load"),
      and: NamedTrace(ArraySource(try shop.read("save")), named: "save"))
    #expect(
      sides?.text("A", "B")
        == "the traces are of different sides\n  side: destination → source\n")
  }

  @Test("svsm-mig-diff leaves out the members that --ignore names, and says that traces are equal")
  func membersAreLeftOut() throws {
    let text = try Fixture.text("golden/rounds/load.jsonl")
    try shop.write("one", text)
    try shop.write("other", text.replacing("\"offset\": ", with: "\"offset\": 1"))
    let told = try shop.run("diff", "--trace @one @other")
    #expect(told.status == 1 && told.text.contains("\n  offset: "), "\(told.text)")
    let left = try shop.run("diff", "--trace @one @other --ignore offset")
    #expect(left.status == 0 && left.text == "equal\n", "\(left.text)\(left.errors)")
    #expect(try shop.run("diff", "--trace @one @other --ignore offse").status == 1)
  }

  @Test("no step, no trace; and no trace over an input or another output")
  func aTraceReplacesNothing() throws {
    let before = try shop.names
    try shop.run("verify", "@nothing --trace @trace").requireRefusal(.inputOpen)
    try shop.run("verify", "@stream --trace @stream").requireRefusal(.outputSame)
    for place in ["@out", "@./out"] {
      try shop.run(
        "load",
        "@stream \(keys) --accept-seeded -o @out --output-format raw --force --trace \(place)"
      ).requireRefusal(.outputSame)
    }
    try shop.run("verify", "@stream --trust @root.pem --trace @root.pem").requireRefusal(
      .outputSame)
    for (tool, line) in [
      ("verify", "@stream --trace -"), ("verify", "--explain SEAL-CHUNK --trace @t"),
      ("load", "@stream --abort --instance @destination.svsm -o @a --trace @t"),
      ("save", "--resume-after @a --from @i --trace @t"),
    ] { #expect(try shop.run(tool, line).status == 64) }
    #expect(try shop.names == before)
    try shop.write("trace", "here")
    try shop.run("verify", "@stream --trust @root.pem --trace @trace").requireRefusal(.outputExists)
    #expect(try shop.text("trace") == "here")
    try shop.must("guest", "create -o @guest --memory 64K --seed 07")
    let memory = try shop.read("guest/ram-0.bin")
    try shop.run(
      "save",
      "@guest -o @saved --to @destination.offer --trust @root.pem --trace @guest/ram-0.bin --force"
    ).requireRefusal(.outputSame)
    #expect(try shop.read("guest/ram-0.bin") == memory)
  }
}
