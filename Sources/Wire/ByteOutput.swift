package import Errors

/// An output to which bytes are written sequentially.
package protocol ByteOutput {
  /// Writes all of `bytes` at the current position.
  /// - Throws: `IO-WRITE`; a part of the bytes may have been written.
  func write(_ bytes: Span<UInt8>) throws(MigrationError)
}

/// An output that can store zeros as holes.
package protocol SparseOutput: ByteOutput {
  /// Writes `count` zeros at the current position, as a hole where that is possible.
  /// - Throws: `IO-WRITE`.
  func writeHole(_ count: UInt64) throws(MigrationError)
}

extension ByteOutput {
  /// Writes all of `bytes`.
  /// - Throws: `IO-WRITE`.
  package func write(_ bytes: [UInt8]) throws(MigrationError) {
    try write(bytes.span)
  }

  /// Writes `text` as UTF-8.
  /// - Throws: `IO-WRITE`.
  package func write(text: String) throws(MigrationError) {
    try write(Array(text.utf8))
  }

  /// Writes all of `bytes`, which are borrowed for the call.
  /// - Throws: `IO-WRITE`.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(MigrationError) {
    try unsafe write(Span<UInt8>(_unsafeBytes: bytes))
  }
}

/// Collects in memory everything that is written.
package final class CollectedOutput: SparseOutput {
  /// Everything that has been written.
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package func write(_ bytes: Span<UInt8>) { self.bytes.append(copying: bytes) }

  package func writeHole(_ count: UInt64) { bytes += [UInt8](repeating: 0, count: Int(count)) }
}
