internal import Cryptography
package import Errors
package import QEMUStream

/// A command of a stream: its payload as it is if it is short, else what tells it from another one.
package struct CommandFacts: Equatable, Sendable {
  package enum Payload: Equatable, Sendable {
    case whole([UInt8])
    case sha256([UInt8])
  }

  /// Longest payload that is kept as it is, in bytes. One of discarded pages may have 64 KiB.
  package static let payloadLimit = 32

  package let code: StreamCommand.Code
  package let payload: Payload

  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  package init(_ command: StreamCommand) throws(MigrationError) {
    code = command.code
    payload =
      command.payload.count > Self.payloadLimit
      ? .sha256(try SHA256.hash(command.payload)) : .whole(command.payload)
  }
}
