import Bytes
import Cryptography
import FileIO
import FoundationEssentials
import Glibc
import Guest
import Migration
import SEVSNP
import SVSM
import TestSupport

extension Program.Outcome {
  /// Standard output as JSON.
  var json: JSON { get throws { try JSON(parsing: output) } }
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

  private static let place = FileManager.default.temporaryDirectory
    .appending(path: "svsm-migration-inspect-\(getpid())").path

  let folder = SavedGuest.place
  let description: GuestDescription
  let stream: [UInt8]
  private let guest: GuestReader

  var streamPath: String { folder + "/stream" }
  var instancePath: String { folder + "/destination.svsm" }
  var offerPath: String { folder + "/destination.offer" }
  /// An instance the stream is not for.
  var otherPath: String { folder + "/other.svsm" }
  var rootPath: String { folder + "/root.pem" }

  private init() throws {
    try FileManager.default.createDirectory(
      atPath: Self.place, withIntermediateDirectories: true)
    // The files serve all tests: they go when the process does.
    atexit { try? FileManager.default.removeItem(atPath: SavedGuest.place) }
    var synthetic = SyntheticGuest(memory: 2 << 20)
    synthetic.vcpus = 2
    synthetic.secretsPage = 0x10d000
    try synthetic.create(at: folder + "/guest")
    guest = try GuestReader(bundle: folder + "/guest")
    description = guest.description
    let destination = try Self.instance(1, chip: 0)
    let trust = Trust(anchors: TrustAnchor.model, time: 1_800_000_000)
    let output = CollectedOutput()
    let svsm = try SourceSVSM(
      instance: Self.instance(2, chip: 1), guest: guest.trustedState,
      validating: destination.offer, trust: trust, isMutual: true,
      random: .seeded([UInt8](repeating: 9, count: 32)))
    var vmm = try SourceVMM(guest: guest, svsm: svsm, output: output)
    _ = try vmm.migrate(willCommit: {}, progress: { _ in })
    stream = output.bytes
    try write(stream, "stream")
    try write(destination.encoded(), "destination.svsm")
    try write(destination.offer.encoded, "destination.offer")
    try write(Self.instance(3, chip: 0).encoded(), "other.svsm")
    try write(Array(TrustAnchor.model[0].root.pem.utf8), "root.pem")
  }

  private static func instance(_ seed: UInt8, chip: Int) throws -> SVSMInstance {
    try SVSMInstance(
      on: .model(chip: chip), features: .snp,
      random: .seeded([UInt8](repeating: seed, count: 32)))
  }

  /// Writes a file beside the others.
  @discardableResult
  func write(_ bytes: [UInt8], _ name: String) throws -> String {
    let path = "\(folder)/\(name)"
    try Data(bytes).write(to: URL(filePath: path))
    return path
  }

  static func read(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: path)))
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

private final class CollectedOutput: ByteOutput {
  var bytes: [UInt8] = []
  func write(_ bytes: Span<UInt8>) { self.bytes.append(copying: bytes) }
}
