internal import Errors
internal import FileIO
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// Follows a stream while it is read: hashes what is consumed, chunk by chunk and with all threads of
/// a crew, and copies it where that is wanted.
///
/// The input's first byte must be the stream's: chunks are counted from there, and so lie in one
/// segment each.
final class ChunkFollower {
  private let input: StreamInput
  private let copy: (any SparseOutput)?
  private let hasher: LeafHasher
  /// Chunks that may be pinned at once.
  private let pendingLimit: Int
  /// Offset of the stream's first byte.
  let start: UInt64
  /// Offset of the first byte that was not given to the hasher.
  private var next: UInt64
  private var hasEnded = false

  /// Begins to follow `input`, which nothing was consumed of.
  /// - Parameter copy: gets every byte up to the end, as it is, and holes of whole chunks as holes.
  init(_ input: StreamInput, copy: (any SparseOutput)? = nil, crew: WorkCrew) {
    self.input = input
    self.copy = copy
    hasher = LeafHasher(crew)
    pendingLimit = 4 + 4 * crew.jobs
    start = input.offset
    next = start
    input.keepConsumed()
  }

  /// The leaves of the chunks that are hashed; of all of them after `end`.
  var leaves: LeafList { hasher.leaves }

  /// Bytes in the chunks that are hashed.
  var length: UInt64 { hasher.length }

  /// Offset from which on `advance` has something to do; none once the end is reached.
  var due: UInt64 { hasEnded ? .max : next + UInt64(Seal.chunkSize) }

  /// Hands over the chunks that are consumed. To be called often: until then they take memory.
  func advance() throws(MigrationError) {
    while input.offset >= due {
      try submit(Seal.chunkSize)
      input.release(before: next)
    }
  }

  /// Consumes what lies before `offset`, however much, without holding it all. Chunks that are holes
  /// are not read.
  func consume(upTo offset: UInt64) throws(MigrationError) {
    while input.offset < offset {
      try passHole(upTo: offset)
      try consumeStored(upTo: offset)
    }
  }

  /// Consumes the chunks of the hole that the window begins in, unread, and what lies before the first
  /// of them. Does nothing where no whole chunk is a hole.
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

  /// Consumes what is in the window, or comes next, of what lies before `offset`.
  private func consumeStored(upTo offset: UInt64) throws(MigrationError) {
    guard input.offset < offset else { return }
    try input.require(1)
    input.consume(Int(min(UInt64(input.count), offset - input.offset)))
    try advance()
  }

  /// What was consumed so far is all there is to follow.
  func end() throws(MigrationError) {
    try advance()
    if input.offset > next { try submit(Int(input.offset - next)) }
    stop()
    while hasher.pendingCount > 0 { try finishOldest() }
  }

  /// Follows no further, and gives up what was not handed over.
  func stop() {
    input.stopKeeping()
    hasEnded = true
  }

  private func submit(_ count: Int) throws(MigrationError) {
    if hasher.pendingCount >= pendingLimit { try finishOldest() }
    guard let bytes = input.pin(at: next, count: count) else {
      throw MigrationError(.internal, "a chunk of the stream is not at hand", at: next)
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
