/// Why a tool refused its input or could not do its work, and at which byte.
///
/// The one error type of all modules: `code` is stable and listed in `Formats/errors.md`, the rest
/// tells a person what was found where. No field ever holds key material or private memory.
public struct MigrationError: Error, Equatable, Sendable {
  public package(set) var code: ErrorCode
  /// One clause, without a full stop: "page does not authenticate".
  public package(set) var what: String
  /// What the refused bytes lie in.
  public package(set) var place: Place?
  /// Offset of the refused field, in bytes from the start of the stream or file.
  public package(set) var offset: UInt64?
  public package(set) var expected: String?
  public package(set) var got: String?

  package init(
    _ code: ErrorCode, _ what: String, in place: Place? = nil, at offset: UInt64? = nil,
    expected: String? = nil, got: String? = nil
  ) {
    self.code = code
    self.what = what
    self.place = place
    self.offset = offset
    self.expected = expected
    self.got = got
  }

  /// Takes what breaks a rule: throws it, or notes it so that what follows is looked at too.
  package typealias Refusal = (MigrationError) throws(MigrationError) -> Void

  /// The refusal of all but an audit: the first broken rule ends it.
  package static func refuse(_ error: MigrationError) throws(MigrationError) { throw error }

  /// The same error, with what it leaves.
  package func adding(_ consequence: String) -> MigrationError {
    var copy = self
    copy.what += "; " + consequence
    return copy
  }

  /// The same error with the place named, unless a deeper layer named it already. One of a file that
  /// could not be opened, made, read or written has none: it names the file, and its byte is the file's.
  package func within(_ place: Place) -> MigrationError {
    if [66, 73, 74].contains(code.exitStatus) { return self }
    var copy = self
    if copy.place == nil { copy.place = place }
    return copy
  }
}

extension MigrationError: CustomStringConvertible {
  /// One line: `[CODE] what, section S, byte 0xN, expected X, got Y`.
  public var description: String {
    var line = "[\(code.rawValue)] \(what)"
    if let place { line += ", section \(place)" }
    if let offset { line += ", byte 0x\(String(offset, radix: 16))" }
    if let expected { line += ", expected \(expected)" }
    if let got { line += ", got \(got)" }
    return line
  }
}
