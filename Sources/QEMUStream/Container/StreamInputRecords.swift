internal import Errors
internal import Wire

extension StreamInput {
  /// Reads the fixed part of a record and leaves it in place.
  /// - Throws: `STREAM-TRUNCATED`.
  func peekRecord<Record: WireRecord>(
    _: Record.Type = Record.self
  ) throws(MigrationError) -> Record {
    try require(Record.size)
    return Record(at: 0, of: bytes)
  }

  /// Reads and consumes the fixed part of a record.
  /// - Throws: `STREAM-TRUNCATED`.
  func readRecord<Record: WireRecord>(
    _: Record.Type = Record.self
  ) throws(MigrationError) -> Record {
    let record = try peekRecord(Record.self)
    consume(Record.size)
    return record
  }
}
