import Bytes
import Foundation
import TestSupport
import Testing

/// A folder of its own, the tools, and what a migration needs. Removed with the test.
final class Workshop {
  let path: String

  init() throws {
    path =
      FileManager.default.temporaryDirectory.appending(path: "svsm-tools-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// A path in the folder.
  subscript(name: String) -> String { "\(path)/\(name)" }

  /// The words of a call of `svsm-mig-TOOL`. In `line`, separated by spaces, `@name` is a path in
  /// the folder.
  func words(_ tool: String, _ line: String) -> [String] {
    [Program.tool("svsm-mig-\(tool)")]
      + line.split(separator: " ").map {
        $0.hasPrefix("@") ? self[String($0.dropFirst())] : "\($0)"
      }
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

  func read(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(filePath: self[name])))
  }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    try Data(bytes).write(to: URL(filePath: self[name]))
  }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self[name]) }

  /// Names in the folder: nothing unfinished may be left among them.
  var names: Set<String> {
    Set((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
  }

  /// Permission bits of a file.
  func mode(_ name: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: self[name])
    return try #require(attributes[.posixPermissions] as? Int)
  }

  /// Whether two guests have the same memory, vCPU pages, page states and service blobs.
  func requireSame(_ one: String, _ other: String) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: self[one]).sorted()
    #expect(try FileManager.default.contentsOfDirectory(atPath: self[other]).sorted() == names)
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
