internal import Errors
internal import FileIO
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// Follows a stream while it is read: all worker threads hash the consumed bytes, chunk by chunk,
/// and the bytes are copied if there is an output for the copy.
///
/// The input's first byte must be the stream's first byte: chunks are counted from there, so that
/// each is in one segment.
final class ChunkFollower {
  private let input: StreamInput
  private let copy: (any SparseOutput)?
  private let hasher: LeafHasher
  /// Largest number of chunks that are pinned at once.
  private let pendingLimit: Int
  /// Offset of the stream's first byte.
  let start: UInt64
  /// Offset of the first byte that was not handed to the hasher.
  private var next: UInt64
  private var hasEnded = false

  /// Begins to follow `input`, from which nothing has been consumed yet.
  /// - Parameter copy: receives every byte up to the end unchanged, and holes of whole chunks as
  ///   holes.
  init(_ input: StreamInput, copy: (any SparseOutput)? = nil, crew: WorkCrew) {
    self.input = input
    self.copy = copy
    hasher = LeafHasher(crew)
    pendingLimit = 4 + 4 * crew.jobs
    start = input.offset
    next = start
    input.keepConsumed()
  }

  /// The leaves of the chunks that are hashed; after `end`, of all chunks.
  var leaves: LeafList { hasher.leaves }

  /// Number of bytes in the chunks that are hashed.
  var length: UInt64 { hasher.length }

  /// Offset from which on `advance` has work to do; `UInt64.max` once the end is reached.
  var due: UInt64 { hasEnded ? .max : next + UInt64(Seal.chunkSize) }

  /// Hands consumed chunks over for hashing. Call it often: consumed chunks take memory until then.
  func advance() throws(MigrationError) {
    while input.offset >= due {
      try submit(Seal.chunkSize)
      input.release(before: next)
    }
  }

  /// Consumes the bytes before `offset`, however many, without holding them all. Chunks that are
  /// holes are not read.
  func consume(upTo offset: UInt64) throws(MigrationError) {
    while input.offset < offset {
      try passHole(upTo: offset)
      try consumeStored(upTo: offset)
    }
  }

  /// Consumes and hashes all bytes of an input.
  /// - Parameter progress: called with the number of bytes that are done.
  func follow(_ input: StreamInput, _ progress: (UInt64) -> Void) throws(MigrationError) {
    try passHole()
    while try !input.isAtEnd() {
      try consume(upTo: input.offset + UInt64(input.count))
      progress(input.offset)
      try passHole()
    }
    try end()
  }

  /// Consumes the whole chunks of the hole at the start of the window without reading them, and the
  /// bytes before the first of them. Does nothing when the hole contains no whole chunk.
  func passHole(upTo offset: UInt64 = .max) throws(MigrationError) {
    let size = UInt64(Seal.chunkSize)
    let hole = min(try input.holeAhead(), offset - input.offset)
    let behind = (input.offset - start) % size
    let front = behind == 0 ? 0 : size - behind
    guard hole >= front + size else { return }
    let border = input.offset + front
    while input.offset < border { try consumeStored(upTo: border) }
    let chunks = (hole - front) / size
    try submitZeros(chunks)
    input.passHole(chunks * size)
    input.release(before: next)
  }

  /// Consumes bytes before `offset` that are in the window; reads more if the window is empty.
  private func consumeStored(upTo offset: UInt64) throws(MigrationError) {
    guard input.offset < offset else { return }
    try input.require(1)
    input.consume(Int(min(UInt64(input.count), offset - input.offset)))
    try advance()
  }

  /// Ends the bytes to be followed at the current position, and waits until all are hashed.
  func end() throws(MigrationError) {
    try advance()
    if input.offset > next { try submit(Int(input.offset - next)) }
    stop()
    while hasher.pendingCount > 0 { try finishOldest() }
  }

  /// Stops following. Bytes that were not handed over are not hashed.
  func stop() {
    input.stopKeeping()
    hasEnded = true
  }

  private func submit(_ count: Int) throws(MigrationError) {
    if hasher.pendingCount >= pendingLimit { try finishOldest() }
    guard let bytes = input.pin(at: next, count: count) else {
      throw MigrationError(.internal, "a chunk of the stream is not available", at: next)
    }
    try hasher.submit(bytes)
    try copy?.write(bytes.bytes)
    next += UInt64(count)
  }

  private func submitZeros(_ count: UInt64) throws(MigrationError) {
    try hasher.submitZeros(count)
    let size = count * UInt64(Seal.chunkSize)
    try copy?.writeHole(size)
    next += size
  }

  private func finishOldest() throws(MigrationError) {
    if let bytes = try hasher.finishOldest() { input.unpin(bytes) }
  }
}
