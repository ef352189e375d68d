internal import Cryptography
internal import DequeModule
internal import Errors
internal import QEMUStream
internal import Threads
internal import Wire

/// Hashes the chunks of a stream with all threads of a crew, and collects the leaves of the seal's
/// hash tree in order.
///
/// Chunks depend on stream offsets alone, so they can be hashed in any order.
package final class LeafHasher {
  /// Bytes of every chunk but the last, which may be shorter.
  package static let chunkSize = 256 << 10
  /// Bytes of a leaf and of a node.
  package static let hashSize = 32

  private struct Pending {
    var chunk: ChunkHash
    /// Keeps the chunk's bytes in place.
    var bytes: PinnedBytes?
  }

  private let crew: WorkCrew
  private var pending: Deque<Pending> = []
  private var free: [ChunkHash] = []
  /// The leaves of the chunks that are done, 32 bytes each.
  private(set) var leaves: [UInt8] = []
  /// Bytes in the chunks that are done.
  private(set) var length: UInt64 = 0

  init(_ crew: WorkCrew) { self.crew = crew }

  /// Chunks handed over and not taken back.
  var pendingCount: Int { pending.count }

  /// Hands the next chunk over: the bytes of `range`, which nobody changes until it is taken back.
  func submit(_ buffer: PageBuffer, _ range: Range<Int>) throws(MigrationError) {
    try submit(buffer, range, nil)
  }

  /// Hands the next chunk over.
  func submit(_ bytes: PinnedBytes) throws(MigrationError) {
    try submit(bytes.buffer, bytes.range, bytes)
  }

  private func submit(
    _ buffer: PageBuffer, _ range: Range<Int>, _ bytes: PinnedBytes?
  ) throws(MigrationError) {
    let chunk = if let last = free.popLast() { last } else { try ChunkHash() }
    (chunk.buffer, chunk.range) = (buffer, range)
    pending.append(Pending(chunk: chunk, bytes: bytes))
    crew.submit(chunk)
  }

  /// Takes the oldest chunk back when it is hashed.
  /// - Returns: its bytes, to be unpinned; nil when they were not pinned, or none is pending.
  func finishOldest() throws(MigrationError) -> PinnedBytes? {
    guard let oldest = pending.popFirst() else { return nil }
    let chunk = oldest.chunk
    crew.finish(chunk)
    if let error = chunk.error { throw error }
    leaves += chunk.leaf
    length += UInt64(chunk.range.count)
    free.append(chunk)
    return oldest.bytes
  }
}

/// One chunk to be hashed. A leaf is SHA-256 of a zero byte and the chunk; leaf and node are told apart
/// by that first byte, as in RFC 6962 section 2.1.
private final class ChunkHash: WorkItem, @unchecked Sendable {
  private static let leafMark: [UInt8] = [0]

  var buffer: PageBuffer?
  var range = 0..<0
  private(set) var leaf = [UInt8](repeating: 0, count: LeafHasher.hashSize)
  private(set) var error: MigrationError?
  private var hash: SHA256

  init(_: Void = ()) throws(MigrationError) {
    hash = try SHA256()
    super.init()
  }

  override func perform() {
    guard let buffer else { return }
    do throws(MigrationError) {
      try hash.update(Self.leafMark)
      try hash.update(buffer.span.extracting(range))
      var output = leaf.mutableSpan
      try hash.finish(into: &output)
    } catch {
      self.error = error
    }
  }
}
