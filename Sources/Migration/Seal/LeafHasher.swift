internal import Cryptography
internal import DequeModule
package import Errors
package import QEMUStream
internal import SVSM
package import Threads
package import Wire

/// Hashes the chunks of a stream with all worker threads, and collects the leaves of the seal's
/// hash tree in order.
///
/// The borders of chunks depend on stream offsets alone, so chunks can be hashed in any order.
package final class LeafHasher {
  /// Size of a leaf or a node in bytes.
  package static let hashSize = 32

  private enum Pending {
    /// A chunk by its number in a group. The pinned bytes keep its memory in place.
    case chunk(ChunkGroup, Int, PinnedBytes?)
    /// A number of chunks of zeros.
    case zeros(UInt64)
  }

  private let crew: WorkCrew
  /// Chunks that one work item hashes: as many as are hashed at once.
  private let groupSize: Int
  private var pending: Deque<Pending> = []
  private var free: [ChunkGroup] = []
  /// The group that the next chunk of the same length joins; not submitted yet.
  private var open: ChunkGroup?
  /// The leaf of a chunk of zeros; nil before the first such chunk.
  private var zeroLeaf: [UInt8]?
  /// The leaves of the chunks that are finished.
  package private(set) var leaves = LeafList()
  /// Number of bytes in the chunks that are finished.
  package private(set) var length: UInt64 = 0

  /// - Parameter inLanes: whether chunks are hashed several at once. The leaves are the same.
  package init(_ crew: WorkCrew, inLanes: Bool = SHA256Lanes.isPreferred) {
    self.crew = crew
    groupSize = inLanes ? SHA256Lanes.count : 1
  }

  /// Number of chunks that were submitted and not finished.
  var pendingCount: Int { pending.count }

  /// Submits the next chunk: the bytes of `range`, which must not change until the chunk is
  /// finished.
  package func submit(_ buffer: PageBuffer, _ range: Range<Int>) throws(MigrationError) {
    try submit(buffer, range, nil)
  }

  /// Submits the next chunk.
  func submit(_ bytes: PinnedBytes) throws(MigrationError) {
    try submit(bytes.buffer, bytes.range, bytes)
  }

  /// Adds the next `count` chunks as zeros. One such chunk is hashed for all of them.
  func submitZeros(_ count: UInt64) throws(MigrationError) {
    if zeroLeaf == nil {
      let group = try ChunkGroup()
      group.add(PageBuffer(count: Seal.chunkSize), 0..<Seal.chunkSize)
      group.perform()
      if let error = group.error { throw error }
      zeroLeaf = Array(group.leaves[..<Self.hashSize])
    }
    pending.append(.zeros(count))
  }

  private func submit(
    _ buffer: PageBuffer, _ range: Range<Int>, _ bytes: PinnedBytes?
  ) throws(MigrationError) {
    if let open, open.length != range.count { submit(open) }
    let group =
      if let open { open } else if let last = free.popLast() { last } else { try ChunkGroup() }
    pending.append(.chunk(group, group.count, bytes))
    group.add(buffer, range)
    open = group
    if group.count == groupSize { submit(group) }
  }

  private func submit(_ group: ChunkGroup) {
    open = nil
    crew.submit(group)
  }

  /// Waits until the oldest chunk is hashed and finishes it.
  /// - Returns: its bytes, to be unpinned; nil when they were not pinned, or no chunk is pending.
  package func finishOldest() throws(MigrationError) -> PinnedBytes? {
    switch pending.popFirst() {
    case .chunk(let group, let index, let bytes):
      if index == 0 {
        if group === open { submit(group) }
        crew.finish(group)
        if let error = group.error { throw error }
      }
      let found = group.leaves
      leaves.append(found.span.extracting(index * Self.hashSize..<(index + 1) * Self.hashSize))
      length += UInt64(group.length)
      if index + 1 == group.count {
        group.removeAll()
        free.append(group)
      }
      return bytes
    case .zeros(let count):
      if let zeroLeaf { leaves.append(zeroLeaf, count: count) }
      length += count * UInt64(Seal.chunkSize)
      return nil
    case nil: return nil
    }
  }
}

/// Chunks of one length that one thread hashes. A leaf is SHA-256 of a zero byte and the chunk. The first
/// byte distinguishes leaves from nodes, as in RFC 6962 section 2.1.
private final class ChunkGroup: WorkItem, @unchecked Sendable {
  private static let leafMark: [UInt8] = [0]

  private var chunks: [(buffer: PageBuffer, range: Range<Int>)] = []
  /// The leaves of the chunks, one after the other.
  private(set) var leaves = [UInt8](repeating: 0, count: SHA256Lanes.count * LeafHasher.hashSize)
  private(set) var error: MigrationError?
  private var hash: SHA256

  init(_: Void = ()) throws(MigrationError) {
    hash = try SHA256()
    super.init()
    chunks.reserveCapacity(SHA256Lanes.count)
  }

  var count: Int { chunks.count }
  /// Bytes of each chunk.
  var length: Int { chunks.first?.range.count ?? 0 }

  func add(_ buffer: PageBuffer, _ range: Range<Int>) { chunks.append((buffer, range)) }

  func removeAll() { chunks.removeAll(keepingCapacity: true) }

  override func perform() {
    if chunks.count == SHA256Lanes.count, SHA256Lanes.isAvailable { return hashInLanes() }
    do throws(MigrationError) {
      for (index, chunk) in chunks.enumerated() {
        try hash.update(Self.leafMark)
        try hash.update(chunk.buffer.span.extracting(chunk.range))
        var output = leaves.mutableSpan
        try hash.finish(into: &output, at: index * LeafHasher.hashSize)
      }
    } catch {
      self.error = error
    }
  }

  private func hashInLanes() {
    let (first, second, third) = (chunks[0], chunks[1], chunks[2])
    // Taken out while it is filled: a span of a property would outlive this call's access to it.
    var digests = leaves
    leaves = []
    var output = digests.mutableSpan
    SHA256Lanes.hash(
      prefix: Self.leafMark.span, first.buffer.span.extracting(first.range),
      second.buffer.span.extracting(second.range), third.buffer.span.extracting(third.range),
      into: &output)
    leaves = digests
  }
}
