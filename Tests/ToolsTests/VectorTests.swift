import Attacks
import Errors
import JSON
import TestSupport
import Testing
import Wire

@Suite struct VectorTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private func run(_ words: [String]) throws -> Program.Outcome {
    try #require(
      Program.run(
        [Program.tool("svsm-mig-verify"), "--vectors", Fixture.path("vectors")] + words))
  }

  private func json(_ outcome: Program.Outcome) throws -> JSON {
    try JSON(parsing: outcome.output)
  }

  @Test("Every vector is refused or accepted as it must be, with its code, section and byte")
  func everyVectorAgrees() throws {
    let outcome = try run(["--commands", "--json"])
    let json = try json(outcome)
    for vector in json["vectors"]?.array ?? [] where vector["status"] != "agrees" {
      // What only the library shows is not the tool's to run.
      #expect(
        vector["status"] == "not run" && vector["subject"] == "library",
        "\(vector["name"]?.string ?? "") \(vector["reason"]?.string ?? "")")
    }
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect((json["agree"]?.int ?? 0) >= 500)
  }

  /// `script` gives the tool a terminal.
  @Test("Progress counts vectors, of how many there are")
  func progressCountsVectors() throws {
    let line =
      "\(Program.tool("svsm-mig-verify")) --vectors \(Fixture.path("vectors")) "
      + "--against 'sleep 0.05; false # {}' --subject offer --jobs 1"
    let outcome = try #require(Program.run(["script", "-q", "-e", "-c", line, "/dev/null"]))
    #expect(outcome.text.contains(#/vectors  \d+ of \d+ vectors  \d+ %  \d+ vectors/s/#))
    #expect(!outcome.text.contains("bytes/s"))
  }

  @Test("Lines for the shell are not run unasked")
  func commandsAreNotRunUnasked() throws {
    let outcome = try run(["--subject", "command", "--json"])
    // Nothing was run: that is no success.
    #expect(outcome.status == 1)
    #expect(try json(outcome)["agree"] == 0)
  }

  @Test(
    "Our own verifier and loader agree when they are called as another's would be",
    arguments: [
      "verify {} --trust {trust} --quiet", "verify {} --instance {instance} --trust {trust}",
      "load {} --instance {instance} --trust {trust} -o {output} --accept-seeded --one-way",
    ])
  func ourToolsAgree(call: String) throws {
    var line = "\(Program.tool("svsm-mig-"))\(call)"
    if call.contains("{output}") {
      // A destination that has loaded is used up: each gets a copy.
      line =
        "cp {instance} \(shop["loading.svsm"]) && "
        + line.replacing("{instance}", with: shop["loading.svsm"]) + " # {instance}"
    }
    let outcome = try run(["--against", line, "--jobs", "1"])
    #expect(
      outcome.status == 0,
      "\(outcome.text.split(separator: "\n").filter { $0.hasPrefix("differs") })")
  }

  @Test("Who takes everything differs, and so does who refuses everything, or crashes")
  func whoLooksAtNothingDiffers() throws {
    for (command, wrongOf) in [("true", "refused"), ("false", "accepted"), ("kill -9 $$", "both")] {
      let outcome = try run(["--against", "\(command) # {} {instance}", "--json"])
      #expect(outcome.status == 1)
      for vector in try json(outcome)["vectors"]?.array ?? [] {
        let isGood = vector["required"] == "accepted"
        let isWrong = wrongOf == "both" || (wrongOf == "accepted") == isGood
        #expect((vector["status"] == "differs") == isWrong, "\(command)")
      }
    }
  }

  @Test("Another code in brackets differs; none at all is not compared")
  func codesAreComparedWhereThereAreAny() throws {
    let other = try run(["--against", "echo '[JSON-SYNTAX]'; false # {}", "--subject", "offer"])
    #expect(other.text.contains("says JSON-SYNTAX, not OFFER-KEY"))
    let none = try run(["--against", "echo no; false # {}", "--subject", "offer"])
    #expect(none.text.contains("3 differ"))
  }

  @Test("Vectors about a policy are run by a command that takes one, and by no other")
  func policiesAreGivenToWhoTakesThem() throws {
    func offers(_ command: String) throws -> [JSON] {
      let outcome = try run(["--against", command, "--subject", "offer", "--json"])
      return try json(outcome)["vectors"]?.array ?? []
    }
    let without = try offers("false # {}").filter { $0["status"] == "not run" }
    #expect(without.contains { $0["name"] == "offer-policy-tcb" })
    #expect(without.allSatisfy { $0["name"]?.string?.hasPrefix("offer-policy-") == true })
    // Every vector has a policy to give: its own, or one that demands nothing.
    for vector in try offers("grep -q svsm-migration/policy/1 {policy} && exit 1 # {}") {
      let isGood = vector["required"] == "accepted"
      #expect(vector["status"]?.string == (isGood ? "differs" : "agrees"))
    }
  }

  @Test("A vector that is none stops the run, and is named")
  func aVectorThatIsNoneIsNamed() throws {
    try shop.folder("vectors")
    try shop.write("vectors/one.vector", "svsm-migration vector 1\nname: one\ncolour: red\n")
    let outcome = try shop.run("verify", "--vectors @vectors")
    outcome.requireRefusal(.vectorSyntax)
    #expect(outcome.errors.contains("one line 3"))
    try shop.remove("vectors/one.vector")
    try shop.run("verify", "--vectors @vectors").requireRefusal(.vectorSyntax)
  }

  @Test("A vector that cannot be made stops the run, and is named")
  func aVectorThatCannotBeMadeIsNamed() throws {
    try shop.folder("vectors")
    let head =
      "svsm-migration vector 1\nname: far\nwhat: a page that is not there\nsubject: stream\n"
    try shop.write(
      "vectors/far.vector",
      head
        + "input: stream\ninstance: there.svsm\nverdict: accepted\nrecipe:\n  flip page[99].tag\n")
    try shop.makeGuest()
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let outcome = try shop.run("verify", "--vectors @vectors")
    outcome.requireRefusal(.recipePlace)
    #expect(outcome.errors.contains("section far, line 1"), "\(outcome.errors)")
  }

  @Test("A vector that lacks what the command names stops the run")
  func aMissingCompanionStopsTheRun() throws {
    try run(["--against", "true {} {report}"]).requireRefusal(.vectorSyntax)
  }

  @Test(
    "Options that belong to vectors need them",
    arguments: [
      "--against true", "--commands", "--subject stream", "@stream --vectors @vectors", "",
      "--vectors @vectors --against true --commands",
    ])
  func optionsGoTogether(line: String) throws {
    #expect(try shop.run("verify", line).status == 64)
  }
}
