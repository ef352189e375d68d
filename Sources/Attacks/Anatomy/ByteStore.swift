package import Errors
package import FileIO
internal import QEMUStream
package import Wire

/// Bytes that can be read at any offset and repeatedly: the input of an attack.
package protocol ByteStore: AnyObject, Sendable {
  /// Number of bytes.
  var size: UInt64 { get }
  /// The bytes of `range`, which must be in the store.
  /// - Throws: `IO-READ`.
  func read(_ range: Range<UInt64>) throws(MigrationError) -> [UInt8]
}

extension ByteStore {
  /// The big-endian number in a field of the record that begins at `start`.
  /// - Throws: `IO-READ`.
  func number(in field: Range<Int>, from start: UInt64) throws(MigrationError) -> UInt64 {
    UInt64(bigEndianBytes: try read(field.moved(by: start)))
  }

  /// Writes all bytes.
  /// - Throws: `IO-READ`, `IO-WRITE`.
  package func write(to output: any ByteOutput) throws(MigrationError) {
    var next: UInt64 = 0
    while next < size {
      let end = min(next + UInt64(PieceList.windowSize), size)
      try output.write(read(next..<end))
      next = end
    }
  }
}

/// The bytes of a store, from the first one to the last.
final class StoreSource: ByteSource {
  private let store: any ByteStore
  private var next: UInt64 = 0

  init(_ store: any ByteStore) { self.store = store }

  @unsafe func read(into buffer: UnsafeMutableRawBufferPointer) throws(MigrationError) -> Int {
    let count = min(buffer.count, PieceList.windowSize, Int(store.size - next))
    unsafe buffer.copyBytes(from: try store.read(next..<next + UInt64(count)))
    next += UInt64(count)
    return count
  }
}

/// Bytes in memory.
package final class StoredBytes: ByteStore {
  private let bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var size: UInt64 { UInt64(bytes.count) }

  package func read(_ range: Range<UInt64>) throws(MigrationError) -> [UInt8] {
    guard range.upperBound <= size else {
      throw MigrationError(.internal, "read past the end of the bytes", at: range.upperBound)
    }
    return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
  }
}

/// A regular file.
package final class StoredFile: ByteStore {
  private let file: InputFile
  package let size: UInt64

  /// - Throws: `INPUT-KIND` for a file without a size, such as a pipe.
  package init(_ file: InputFile) throws(MigrationError) {
    self.file = file
    size = try file.regularSize()
  }

  package func read(_ range: Range<UInt64>) throws(MigrationError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    var span = bytes.mutableSpan
    try file.read(at: range.lowerBound, into: &span)
    return bytes
  }
}
