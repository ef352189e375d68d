internal import Errors
internal import JSON
internal import QEMUStream
internal import Wire

/// Reads a trace (`Formats/replay.md`, section 2) line by line, in memory that does not grow with it.
struct TraceReader {
  /// Largest size of one line in bytes; most values in it, and most of them in each other. A step has at
  /// most 4096 ranges of pages (`TraceStep.changeLimit`), which is a third of this.
  static let lineLimit = 1 << 20
  static let valueLimit = 1 << 16
  static let depthLimit = 8
  static let schema = "svsm-migration/trace/1"

  /// The side whose steps the trace has.
  let side: String
  private let input: StreamInput
  private let name: String
  private var line = 1

  /// - Parameter name: the file, as messages show it.
  /// - Throws: `INPUT-KIND` when the first line is not that of a trace; `JSON-SYNTAX`, `IO-READ`.
  init(_ source: any ByteSource, named name: String) throws(MigrationError) {
    input = StreamInput(source, limit: Self.lineLimit)
    self.name = name
    let first = try? Self.next(of: input, named: name, line: 1)
    guard let first, first["schema"]?.string == Self.schema, let side = first["side"]?.string else {
      throw MigrationError(
        .inputKind, "\(name) is not a trace", at: 0,
        expected: "a first line that names \(Self.schema)")
    }
    self.side = side
  }

  /// The next step; nil at the end.
  /// - Throws: `JSON-SYNTAX` for a line that is not an object; `IO-READ`.
  mutating func next() throws(MigrationError) -> JSON? {
    line += 1
    return try Self.next(of: input, named: name, line: line)
  }

  private static func next(
    of input: StreamInput, named name: String, line: Int
  ) throws(MigrationError) -> JSON? {
    guard let bytes = try text(of: input, named: name, line: line) else { return nil }
    do throws(MigrationError) {
      let json = try JSON(
        parsing: bytes, depthLimit: depthLimit, valueLimit: valueLimit)
      guard json.members != nil else { throw MigrationError(.json, "a step is no object") }
      return json
    } catch {
      throw MigrationError(
        .json, error.what, in: .line(line, of: name), expected: error.expected, got: error.got)
    }
  }

  /// The bytes up to the next line feed, which is consumed; nil at the end.
  private static func text(
    of input: StreamInput, named name: String, line: Int
  ) throws(MigrationError) -> [UInt8]? {
    var looked = 0
    while true {
      let count = try input.available(atLeast: looked + 1)
      let end = (looked..<count).first { input.bytes[$0] == 0x0A }
      if let end = end ?? (count == looked ? count : nil) {
        guard end > 0 || end < count else { return nil }
        let bytes = Array(copying: input.bytes.extracting(first: end))
        input.consume(min(end + 1, count))
        return bytes
      }
      looked = count
      guard looked < lineLimit else {
        throw MigrationError(
          .json, "a line is too long", in: .line(line, of: name),
          expected: "at most \(lineLimit) bytes")
      }
    }
  }
}
