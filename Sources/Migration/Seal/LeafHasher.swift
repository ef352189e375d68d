internal import Cryptography
internal import DequeModule
internal import Errors
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// Hashes the chunks of a stream with all worker threads, and collects the leaves of the seal's
/// hash tree in order.
///
/// The borders of chunks depend on stream offsets alone, so chunks can be hashed in any order.
package final class LeafHasher {
  /// Size of a leaf or a node in bytes.
  package static let hashSize = 32

  private enum Pending {
    /// A chunk. The pinned bytes keep its memory in place.
    case chunk(ChunkHash, PinnedBytes?)
    /// A number of chunks of zeros.
    case zeros(UInt64)
  }

  private let crew: WorkCrew
  private var pending: Deque<Pending> = []
  private var free: [ChunkHash] = []
  /// The leaf of a chunk of zeros; nil before the first such chunk.
  private var zeroLeaf: [UInt8]?
  /// The leaves of the chunks that are finished.
  private(set) var leaves = LeafList()
  /// Number of bytes in the chunks that are finished.
  private(set) var length: UInt64 = 0

  init(_ crew: WorkCrew) { self.crew = crew }

  /// Number of chunks that were submitted and not finished.
  var pendingCount: Int { pending.count }

  /// Submits the next chunk: the bytes of `range`, which must not change until the chunk is
  /// finished.
  func submit(_ buffer: PageBuffer, _ range: Range<Int>) throws(MigrationError) {
    try submit(buffer, range, nil)
  }

  /// Submits the next chunk.
  func submit(_ bytes: PinnedBytes) throws(MigrationError) {
    try submit(bytes.buffer, bytes.range, bytes)
  }

  /// Adds the next `count` chunks as zeros. One such chunk is hashed for all of them.
  func submitZeros(_ count: UInt64) throws(MigrationError) {
    if zeroLeaf == nil {
      let chunk = try ChunkHash()
      (chunk.buffer, chunk.range) = (PageBuffer(count: Seal.chunkSize), 0..<Seal.chunkSize)
      chunk.perform()
      if let error = chunk.error { throw error }
      zeroLeaf = chunk.leaf
    }
    pending.append(.zeros(count))
  }

  private func submit(
    _ buffer: PageBuffer, _ range: Range<Int>, _ bytes: PinnedBytes?
  ) throws(MigrationError) {
    let chunk = if let last = free.popLast() { last } else { try ChunkHash() }
    (chunk.buffer, chunk.range) = (buffer, range)
    pending.append(.chunk(chunk, bytes))
    crew.submit(chunk)
  }

  /// Waits until the oldest chunk is hashed and finishes it.
  /// - Returns: its bytes, to be unpinned; nil when they were not pinned, or no chunk is pending.
  func finishOldest() throws(MigrationError) -> PinnedBytes? {
    switch pending.popFirst() {
    case .chunk(let chunk, let bytes):
      crew.finish(chunk)
      if let error = chunk.error { throw error }
      leaves.append(chunk.leaf)
      length += UInt64(chunk.range.count)
      free.append(chunk)
      return bytes
    case .zeros(let count):
      if let zeroLeaf { leaves.append(zeroLeaf, count: count) }
      length += count * UInt64(Seal.chunkSize)
      return nil
    case nil: return nil
    }
  }
}

/// One chunk to be hashed. A leaf is SHA-256 of a zero byte and the chunk. The first byte
/// distinguishes leaves from nodes, as in RFC 6962 section 2.1.
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
