/// The reason why a tool refused its input or could not do its work, and the byte concerned.
///
/// This is the one error type of all modules. `code` is stable and listed in `Formats/errors.md`;
/// the other fields tell a person what was found, and where. No field ever holds key material or
/// private memory.
public struct MigrationError: Error, Equatable, Sendable {
  public package(set) var code: ErrorCode
  /// One clause, without a full stop: "page does not authenticate".
  package var what: Wording
  /// The part of the input that holds the refused bytes.
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

  /// Creates an error from plain texts, which name no needs.
  package init(
    _ code: ErrorCode, _ what: String, in place: Place? = nil, at offset: UInt64? = nil,
    expected: String? = nil, got: String? = nil
  ) {
    self.init(
      code, Wording(what), in: place, at: offset, expected: expected.map { Wording($0) },
      got: got.map { Wording($0) })
  }

  /// Receives an error for a broken rule. It either throws the error, or records it so that reading
  /// continues.
  package typealias Refusal = (MigrationError) throws(MigrationError) -> Void

  /// Throws the error: the first broken rule ends the reading. Used everywhere except in an audit.
  package static func refuse(_ error: MigrationError) throws(MigrationError) { throw error }

  /// Returns the error with a consequence of the failure added to its text.
  package func adding(_ consequence: String) -> MigrationError {
    var copy = self
    copy.what = "\(what); \(consequence)"
    return copy
  }

  /// Returns the error without the path of a folder that means nothing to a user, wherever it names files in it.
  package func hiding(folder: String) -> MigrationError {
    let prefix = folder + "/"
    var copy = self
    copy.what = what.replacing(prefix, with: "")
    copy.place = place.map { .file($0.name.replacing(prefix, with: "")) }
    copy.expected = expected?.replacing(prefix, with: "")
    copy.got = got?.replacing(prefix, with: "")
    return copy
  }

  /// Returns the error with the place set, unless a deeper layer has set one. An error about a file
  /// that could not be opened, made, read or written gets no place: it names the file, and its byte
  /// offset is an offset in that file.
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
  /// The error as one line: `[CODE] what, section S, byte 0xN, expected X, got Y`.
  package var line: Wording {
    var line: Wording = "[\(code.rawValue)] \(what)"
    if let place { line = "\(line), section \(place)" }
    if let offset { line = "\(line), byte 0x\(String(offset, radix: 16))" }
    if let expected { line = "\(line), expected \(expected)" }
    if let got { line = "\(line), got \(got)" }
    return line
  }

  /// The line, for readers that have no spelling of their own for needs.
  public var description: String { line.description }
}
