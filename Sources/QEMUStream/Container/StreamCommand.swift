package import Errors
internal import Wire

/// A command record (QEMU `migration/savevm.c`, `enum qemu_vm_cmd`).
///
///     offset  size  field
///          0     1  type         08
///          1     2  code         big-endian
///          3     2  length       of the payload, big-endian
///          5     n  payload
package struct StreamCommand: Equatable, Sendable {
  /// The action that the command requests. Only `switchoverStart` occurs in ordinary files.
  package enum Code: UInt16, Sendable, CaseIterable {
    case openReturnPath = 0x01
    case ping = 0x02
    case postcopyAdvise = 0x03
    case postcopyListen = 0x04
    case postcopyRun = 0x05
    case postcopyRAMDiscard = 0x06
    /// The payload is a length; that many bytes of nested records follow the command.
    case packaged = 0x07
    case enableCOLO = 0x08
    case postcopyResume = 0x09
    case receiveBitmap = 0x0A
    case switchoverStart = 0x0B

    /// Whether the command can have a payload of `length` bytes.
    package func allows(_ length: Int) -> Bool {
      switch self {
      case .openReturnPath, .postcopyListen, .postcopyRun, .enableCOLO, .postcopyResume,
        .switchoverStart:
        length == 0
      case .ping, .packaged: length == 4
      case .postcopyAdvise: length == 16 || length == 0
      case .postcopyRAMDiscard: length >= 1 + 2 + 1 + 16
      case .receiveBitmap: 2...256 ~= length
      }
    }

    /// The name in QEMU's source code, in lower case with hyphens.
    package var name: String {
      switch self {
      case .openReturnPath: "open-return-path"
      case .ping: "ping"
      case .postcopyAdvise: "postcopy-advise"
      case .postcopyListen: "postcopy-listen"
      case .postcopyRun: "postcopy-run"
      case .postcopyRAMDiscard: "postcopy-ram-discard"
      case .packaged: "packaged"
      case .enableCOLO: "enable-colo"
      case .postcopyResume: "postcopy-resume"
      case .receiveBitmap: "recv-bitmap"
      case .switchoverStart: "switchover-start"
      }
    }
  }

  /// The code of the command.
  package var code: Code
  /// The payload as it is in the stream; its length is allowed for the command.
  package var payload: [UInt8]
  /// Stream offset of the type byte.
  package var offset: UInt64

  package init(_ code: Code, payload: [UInt8] = [], offset: UInt64 = 0) {
    self.code = code
    self.payload = payload
    self.offset = offset
  }
}

extension StreamInput {
  /// Reads a command whose type byte has been consumed.
  /// - Throws: `STREAM-COMMAND` for an unknown code, or a length that the command does not allow.
  package func readCommand() throws(MigrationError) -> StreamCommand {
    let start = offset &- 1
    let number = try read(UInt16.self)
    let length = Int(try read(UInt16.self))
    guard let code = StreamCommand.Code(rawValue: number) else {
      throw MigrationError(
        .command, "unknown command", at: start &+ 1, got: Hex.number(number))
    }
    guard code.allows(length) else {
      throw MigrationError(
        .command, "command has a wrong length", in: .section(code.name), at: start &+ 3,
        got: "\(length)")
    }
    return StreamCommand(code, payload: try readArray(length), offset: start)
  }
}
