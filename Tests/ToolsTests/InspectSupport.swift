import Cryptography
import Errors
import Glibc
import Guest
import JSON
import Migration
import MigrationSupport
import SEVSNP
import SVSM
import TestSupport

extension Program.Outcome {
  /// Standard output as JSON, of a guest of whatever size.
  var json: JSON { get throws { try JSON(parsing: output, valueLimit: .max) } }
}

extension Program {
  /// Runs one of our own tools to its end.
  static func runTool(
    _ name: String, _ arguments: [String], input: String = "/dev/null",
    output: Output = .collected
  ) throws -> Outcome {
    guard let outcome = run([tool(name)] + arguments, input: input, output: output) else {
      throw MigrationError(.internal, "\(name) does not start")
    }
    return outcome
  }
}

/// A small guest, its stream and the instance the stream is for, as files.
///
/// Made once: 2 MiB with private and shared memory, a secrets page, two vCPUs and a vTPM.
final class SavedGuest: Sendable {
  static let shared = Result { try SavedGuest() }

  let files: Scratch
  let description: GuestDescription
  let stream: [UInt8]
  private let guest: GuestReader

  var streamPath: String { files["stream"] }
  var instancePath: String { files["destination.svsm"] }
  var offerPath: String { files["destination.offer"] }
  /// An instance the stream is not for.
  var otherPath: String { files["other.svsm"] }
  var rootPath: String { files["root.pem"] }

  private init() throws {
    files = try Scratch()
    // The files serve all tests: they go when the process does.
    atexit { try? SavedGuest.shared.get().files.remove() }
    var synthetic = SyntheticGuest(memory: 2 << 20)
    synthetic.vcpus = 2
    synthetic.secretsPage = 0x10d000
    try synthetic.create(at: files["guest"])
    guest = try GuestReader(bundle: files["guest"])
    description = guest.description
    let destination = try Lab.instance(1)
    stream = try Lab.save(guest, to: destination)
    try files.write("stream", stream)
    try files.write("destination.svsm", destination.encoded())
    try files.write("destination.offer", destination.offer.encoded)
    try files.write("other.svsm", Lab.instance(3).encoded())
    try files.write("root.pem", TrustAnchor.model[0].root.pem)
  }

  /// The guest's own content of a page.
  func page(_ gpa: UInt64) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    guard let place = description.map.locate(gpa) else { return [] }
    var span = bytes.mutableSpan
    try guest.read(block: place.block, at: place.offset, into: &span)
    return bytes
  }

  /// The first page in `state`.
  func firstPage(_ state: PageState) throws -> UInt64 {
    guard let run = description.pageStates.runs.first(where: { $0.state == state }) else {
      throw MigrationError(.internal, "guest has no \(state) page")
    }
    return run.gpa
  }
}
