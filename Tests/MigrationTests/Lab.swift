import Bytes
import Cryptography
import FileIO
import Foundation
import Guest
import Migration
import QEMUStream
import SEVSNP
import SVSM

/// A place for the files of one test, removed with it.
final class Scratch {
  let path: String

  init() throws {
    path =
      FileManager.default.temporaryDirectory
      .appending(path: "svsm-migration-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  subscript(name: String) -> String { "\(path)/\(name)" }
}

/// Both ends of a migration, made from seeds.
enum Lab {
  static let trust = Trust(anchors: TrustAnchor.model, time: 1_800_000_000)

  static func instance(_ seed: UInt8, chip: Int = 0) throws -> SVSMInstance {
    try SVSMInstance(
      on: .model(chip: chip), features: .snp, random: .seeded([UInt8](repeating: seed, count: 32)))
  }

  /// Saves `guest` for `destination` and gives the stream.
  static func save(
    _ guest: GuestReader, to destination: SVSMInstance, isMutual: Bool = true, seed: UInt8 = 9
  ) throws -> [UInt8] {
    let output = ArrayOutput()
    let svsm = try SourceSVSM(
      instance: instance(2, chip: 1), guest: guest.trustedState, validating: destination.offer,
      trust: trust, isMutual: isMutual, random: .seeded([UInt8](repeating: seed, count: 32)))
    var vmm = try SourceVMM(guest: guest, svsm: svsm, output: output)
    _ = try vmm.migrate(willCommit: {}, progress: { _ in })
    return output.bytes
  }

  /// Loads `stream` into a bundle at `path`.
  @discardableResult
  static func load(
    _ stream: [UInt8], for destination: SVSMInstance, to path: String,
    options: DestinationSVSM.Options = .test
  ) throws -> LoadSummary {
    let input = StreamInput(ArraySource(stream))
    var vmm = DestinationVMM(try SNPStreamReader(input, checkingSeal: true))
    let writer = try GuestWriter(path)
    var memory: GuestBundleMemory?
    let summary = try vmm.receive(
      begin: { (data, offset) throws(MigrationError) in
        try DestinationSVSM(
          instance: destination, transferData: data, trust: trust, options: options, at: offset)
      },
      memory: { (blocks, _) throws(MigrationError) in
        let made = try writer.begin(blockSizes: blocks.map(\.size))
        memory = made
        return made
      }, progress: { _ in })
    try memory?.finish(summary.guest)
    return summary
  }
}

extension DestinationSVSM.Options {
  /// Takes what tests make: streams from seeds.
  static var test: Self {
    var options = Self()
    options.acceptsSeeded = true
    return options
  }
}

/// Collects what is written.
final class ArrayOutput: ByteOutput {
  var bytes: [UInt8] = []
  func write(_ bytes: Span<UInt8>) { self.bytes.append(copying: bytes) }
}

/// The code `body` is refused with; nil when it is not refused.
func refusal(_ body: () throws -> Void) -> ErrorCode? {
  do {
    try body()
    return nil
  } catch {
    return (error as? MigrationError)?.code
  }
}
