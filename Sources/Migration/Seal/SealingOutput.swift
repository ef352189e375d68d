internal import Cryptography
internal import Errors
internal import FileIO
internal import SVSM
internal import Threads
internal import Wire

/// The buffer in which a stream is composed: a ring of its last mebibytes. Records are made in
/// place, whole chunks are hashed for the seal, and large aligned pieces are written from where
/// they were made.
///
/// Space is reserved in stream order. Several threads may fill what was reserved; what is finished,
/// oldest first, is then hashed and written. Only the owner's thread may call the methods.
final class SealingOutput {
  /// Number of bytes written at once: a whole number of chunks.
  private static let pieceSize = 4 * Seal.chunkSize
  /// Largest size of one reservation in bytes.
  static let reservationLimit = 512 << 10

  private let output: any ByteOutput
  private let hasher: LeafHasher
  /// The ring, followed by space for a reservation that extends beyond its end.
  let ring: PageBuffer
  private let ringSize: Int

  // Stream offsets. Each is at most the one before it.
  private var reserved: UInt64 = 0
  private var made: UInt64 = 0
  private var hashing: UInt64 = 0
  private var written: UInt64 = 0

  init(_ output: any ByteOutput, crew: WorkCrew) {
    self.output = output
    hasher = LeafHasher(crew)
    // Enough for what all jobs make at once, and as much again for what is being hashed and
    // written.
    ringSize = (4 + 2 * crew.jobs) * Self.pieceSize
    ring = PageBuffer(count: ringSize + Self.reservationLimit)
  }

  /// Stream offset of the next byte to be reserved.
  var offset: UInt64 { reserved }

  // MARK: Making

  /// Reserves the next `size` bytes of the stream, and waits for space if there is none.
  /// - Returns: the offset of the bytes in `ring`.
  /// - Throws: `IO-WRITE`.
  func reserve(_ size: Int) throws(MigrationError) -> Int {
    precondition(size >= 0 && size <= Self.reservationLimit)
    while reserved + UInt64(size) - min(written, hasher.length) > UInt64(ringSize) {
      try makeRoom()
    }
    defer { reserved += UInt64(size) }
    return position(of: reserved)
  }

  /// Marks the oldest reservation, of `size` bytes, as filled.
  /// - Throws: `IO-WRITE`.
  func finish(_ size: Int) throws(MigrationError) {
    precondition(UInt64(size) <= reserved - made)
    let end = position(of: made) + size
    if end > ringSize { ring.move(end - ringSize, from: ringSize, to: 0) }
    made += UInt64(size)
    try hashChunks()
    while made - written >= UInt64(Self.pieceSize) { try writePiece() }
  }

  /// Appends `bytes`, of any length. All reservations must be finished.
  /// - Throws: `IO-WRITE`.
  func append(_ bytes: Span<UInt8>) throws(MigrationError) {
    precondition(made == reserved)
    var next = 0
    while next < bytes.count {
      let step = min(bytes.count - next, Self.reservationLimit)
      let position = try reserve(step)
      let ring = self.ring
      var target = ring.mutableSpan(position..<position + step)
      target.copy(bytes.extracting(next..<next + step), to: 0)
      try finish(step)
      next += step
    }
  }

  /// Appends `bytes`, of any length. All reservations must be finished.
  /// - Throws: `IO-WRITE`.
  func append(_ bytes: [UInt8]) throws(MigrationError) { try append(bytes.span) }

  // MARK: The end

  /// Writes what was finished so far.
  /// - Throws: `IO-WRITE`.
  func flush() throws(MigrationError) {
    while written < made { try writePiece() }
  }

  /// Writes and hashes what is left, and returns the leaves of everything that was appended. What
  /// is appended later is written and not hashed.
  /// - Throws: `IO-WRITE`.
  func finishHashing() throws(MigrationError) -> LeafList {
    precondition(made == reserved)
    try flush()
    if hashing < made { try hash(Int(made - hashing)) }
    while hasher.pendingCount > 0 { _ = try hasher.finishOldest() }
    return hasher.leaves
  }

  /// Appends `bytes` after the hashed part.
  /// - Throws: `IO-WRITE`.
  func appendUnhashed(_ bytes: [UInt8]) throws(MigrationError) {
    try output.write(bytes.span)
    reserved += UInt64(bytes.count)
  }

  // MARK: Pieces

  private func position(of offset: UInt64) -> Int { Int(offset % UInt64(ringSize)) }

  /// Frees some space: finished bytes can always be hashed and written.
  private func makeRoom() throws(MigrationError) {
    if hasher.pendingCount > 0 {
      _ = try hasher.finishOldest()
    } else if written < made {
      try writePiece()
    } else {
      throw MigrationError(.internal, "buffer of the seal is full")
    }
  }

  private func hashChunks() throws(MigrationError) {
    while made - hashing >= UInt64(Seal.chunkSize) { try hash(Seal.chunkSize) }
  }

  private func hash(_ size: Int) throws(MigrationError) {
    // No chunk crosses the end of the ring, which holds a whole number of chunks.
    let start = position(of: hashing)
    try hasher.submit(ring, start..<start + size)
    hashing += UInt64(size)
  }

  /// Writes up to the end of a piece, or as much of it as is finished.
  private func writePiece() throws(MigrationError) {
    let start = position(of: written)
    let size = Int(min(made - written, UInt64(Self.pieceSize - start % Self.pieceSize)))
    let ring = self.ring
    try output.write(ring.span.extracting(start..<start + size))
    written += UInt64(size)
  }
}
