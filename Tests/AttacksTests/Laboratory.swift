import Attacks
import Errors
import FileIO
import Migration
import MigrationSupport
import QEMUStream
import SVSM
import TestSupport
import Testing
import Wire

/// The golden destination, and what recipes make of streams for it.
enum Laboratory {
  static let goldens = [
    "tiny", "all-shared", "all-private", "mixed", "above-4g", "many-vcpus", "secrets-page",
    "one-way",
  ]

  static func destination() throws -> SVSMInstance {
    try SVSMInstance(Fixture.read("golden/destination.svsm"))
  }

  static func stream(_ name: String) throws -> [UInt8] {
    try Fixture.read("golden/\(name)/stream.mig")
  }

  /// What `recipe` makes of `bytes`.
  static func make(
    _ recipe: String, of bytes: [UInt8], second: [UInt8]? = nil, seed: UInt8 = 0
  ) throws -> [UInt8] {
    var materials = Materials(try Materials.Input(bytes))
    materials.second = try second.map { try Materials.Input($0) }
    materials.instance = try destination()
    materials.seed = [seed]
    let output = CollectedOutput()
    try Recipe(parsing: recipe).make(from: materials, to: output)
    return output.bytes
  }

  /// What a destination says to a stream, restoring nothing; nil when it takes it.
  static func refusal(of bytes: [UInt8]) throws -> ErrorCode? {
    try Lab.verifier().verify(StreamInput(ArraySource(bytes)), for: destination()).refusal?.code
  }

  /// A stream of two epochs: page 0 comes again, page 1 is withdrawn and then shared.
  static func rounds() throws -> [UInt8] {
    try make(Fixture.rounds, of: stream("tiny"))
  }
}
