internal import Bytes
internal import Cryptography
internal import FileIO

/// Where a stream is written: collects records in one buffer, hashes whole chunks for the seal and
/// writes in large pieces, each byte touched once.
///
/// Records are made in place: a page's ciphertext is written from where the cipher put it.
final class SealingOutput {
  /// Bytes written at once: a whole number of chunks.
  private static let pieceSize = 4 * ChunkHasher.chunkSize
  /// The longest record that `append` in place may ask for.
  static let recordLimit = 64 << 10

  private let output: any ByteOutput
  private let buffer: PageBuffer
  private var count = 0
  private var hasher: ChunkHasher
  /// Stream offset of the next byte.
  private(set) var offset: UInt64 = 0

  init(_ output: any ByteOutput) throws(MigrationError) {
    let hasher = try ChunkHasher()
    self.output = output
    self.hasher = hasher
    buffer = PageBuffer(count: Self.pieceSize + Self.recordLimit)
  }

  /// Appends `bytes`, however many.
  func append(_ bytes: [UInt8]) throws(MigrationError) {
    try append(bytes.span)
  }

  /// Appends `bytes`, however many.
  func append(_ bytes: Span<UInt8>) throws(MigrationError) {
    var next = 0
    while next < bytes.count {
      let step = min(bytes.count - next, Self.recordLimit)
      let piece = bytes.extracting(next..<next + step)
      try append(step) { (buffer, position) throws(MigrationError) in
        for index in 0..<step { buffer[position + index] = piece[index] }
      }
      next += step
    }
  }

  /// Appends a record of `size` bytes that `make` writes in place, at the position it is given.
  func append(
    _ size: Int, make: (inout MutableSpan<UInt8>, Int) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    let buffer = self.buffer
    var span = buffer.mutableSpan
    try make(&span, count)
    count += size
    offset += UInt64(size)
    if count >= Self.pieceSize { try write(Self.pieceSize) }
  }

  /// Writes what was appended so far.
  func flush() throws(MigrationError) { try write(count) }

  /// Writes what is left, hashes it, and gives the leaves of all that was appended. What is
  /// appended later is written and not hashed.
  func finishHashing() throws(MigrationError) -> [UInt8] {
    try write(count)
    try hasher.finish()
    return hasher.leaves
  }

  /// Appends `bytes` behind the hashed part.
  func appendUnhashed(_ bytes: [UInt8]) throws(MigrationError) {
    try output.write(bytes.span)
    offset += UInt64(bytes.count)
  }

  private func write(_ size: Int) throws(MigrationError) {
    let buffer = self.buffer
    let piece = buffer.span.extracting(first: size)
    try hasher.update(piece)
    try output.write(piece)
    // At most one record lies behind the piece.
    buffer.moveToFront(from: size, count: count - size)
    count -= size
  }
}
