import Errors
import TestSupport
import Testing

/// A scratch folder in which our tools work.
typealias Workshop = Scratch

extension Scratch {
  /// The words of a call of `svsm-mig-TOOL`; in `line`, `@name` is a path in the folder.
  func words(_ tool: String, _ line: String) -> [String] {
    [Program.tool("svsm-mig-\(tool)")] + words(line)
  }

  /// Runs a tool to its end.
  @discardableResult
  func run(
    _ tool: String, _ line: String, input: String = "/dev/null",
    output: Program.Output = .collected
  ) throws -> Program.Outcome {
    try #require(Program.run(words(tool, line), input: input, output: output))
  }

  /// Runs a tool that must succeed.
  @discardableResult
  func must(
    _ tool: String, _ line: String, input: String = "/dev/null",
    location: SourceLocation = #_sourceLocation
  ) throws -> Program.Outcome {
    let outcome = try run(tool, line, input: input)
    try #require(outcome.status == 0, "\(outcome.errors)", sourceLocation: location)
    return outcome
  }

  /// Makes the instance `name`.svsm with its offer, and root.pem.
  func prepare(_ name: String, seed: String? = nil, chip: Int = 0) throws {
    let seed = seed.map { " --seed \($0)" } ?? ""
    try must(
      "prepare",
      "--instance @\(name).svsm --output @\(name).offer --root-out @root.pem --force --chip \(chip)"
        + seed)
  }

  /// Makes the bundle `guest`: 512 KiB, two vCPUs, private and shared pages in turn.
  func makeGuest(memory: String = "512K") throws {
    try must("guest", "create -o @guest --memory \(memory) --vcpus 2 --seed 07")
  }

  /// Whether two guests have the same memory, vCPU pages, page states and service blobs.
  func requireSame(_ one: String, _ other: String) throws {
    let names = try names(in: one)
    #expect(try self.names(in: other) == names)
    // The manifest differs in the generation of services, which counts migrations.
    for name in names where name != "guest.json" {
      let outcome = try #require(
        Program.run(["cmp", self["\(one)/\(name)"], self["\(other)/\(name)"]]))
      #expect(outcome.status == 0, "\(name): \(outcome.text)")
    }
  }
}

extension Program.Outcome {
  /// Whether the tool ended with `status` and one line that names `code`.
  func requireRefusal(
    _ code: ErrorCode, _ status: Int32? = nil, location: SourceLocation = #_sourceLocation
  ) {
    #expect(self.status == status ?? code.exitStatus, "\(errors)", sourceLocation: location)
    let verdict = code.exitStatus == 65 ? "refused" : "failed"
    let lines = errors.split(separator: "\n").filter { $0.contains(" \(verdict) [") }
    #expect(
      lines.count == 1 && lines[0].contains("\(verdict) [\(code.rawValue)] "), "\(errors)",
      sourceLocation: location)
  }
}
