/// Why a tool refused its input or could not do its work, and at which byte.
///
/// The one error type of all modules: `code` is stable and listed in `Formats/errors.md`, the rest
/// tells a person what was found where. No field ever holds key material or private memory.
public struct MigrationError: Error, Equatable, Sendable {
  public package(set) var code: ErrorCode
  /// One clause, without a full stop: "page does not authenticate".
  package var what: Wording
  /// What the refused bytes lie in.
  public package(set) var place: Place?
  /// Offset of the refused field, in bytes from the start of the stream or file.
  public package(set) var offset: UInt64?
  package var expected: Wording?
  package var got: Wording?

  package init(
    _ code: ErrorCode, _ what: Wording, in place: Place? = nil, at offset: UInt64? = nil,
    expected: Wording? = nil, got: Wording? = nil
  ) {
    self.code = code
    self.what = what
    self.place = place
    self.offset = offset
    self.expected = expected
    self.got = got
  }

  /// The same, of texts that name no need.
  package init(
    _ code: ErrorCode, _ what: String, in place: Place? = nil, at offset: UInt64? = nil,
    expected: String? = nil, got: String? = nil
  ) {
    self.init(
      code, Wording(what), in: place, at: offset, expected: expected.map { Wording($0) },
      got: got.map { Wording($0) })
  }

  /// Takes what breaks a rule: throws it, or notes it so that what follows is looked at too.
  package typealias Refusal = (MigrationError) throws(MigrationError) -> Void

  /// The refusal of all but an audit: the first broken rule ends it.
  package static func refuse(_ error: MigrationError) throws(MigrationError) { throw error }

  /// The same error, with what it leaves.
  package func adding(_ consequence: String) -> MigrationError {
    var copy = self
    copy.what = "\(what); \(consequence)"
    return copy
  }

  /// The same error with the place named, unless a deeper layer named it already. One of a file that
  /// could not be opened, made, read or written has none: it names the file, and its byte is the file's.
  package func within(_ place: Place) -> MigrationError {
    switch code.row.kind {
    case .noInput, .noOutput, .failure: return self
    case .refusal, .ours: break
    }
    var copy = self
    if copy.place == nil { copy.place = place }
    return copy
  }
}

extension MigrationError: CustomStringConvertible {
  /// One line: `[CODE] what, section S, byte 0xN, expected X, got Y`.
  package var line: Wording {
    var line: Wording = "[\(code.rawValue)] \(what)"
    if let place { line = "\(line), section \(place)" }
    if let offset { line = "\(line), byte 0x\(String(offset, radix: 16))" }
    if let expected { line = "\(line), expected \(expected)" }
    if let got { line = "\(line), got \(got)" }
    return line
  }

  /// The line for who has no words of his own for needs.
  public var description: String { line.description }
}
