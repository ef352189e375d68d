internal import Errors
internal import FileIO
internal import Wire

/// Nodes of a tree, of 512 words each. Those that were used last are in memory, up to a limit; the others are
/// in a temporary file, which is made when the limit is reached.
///
/// So a set of things that are far from each other takes little memory, however many there are. A node is
/// known by its number. Its words are in `words` from the index on that `load` or `change` returned last
/// for it, until another node is loaded or made.
package struct NodePool: ~Copyable {
  /// Most nodes in memory, if a caller does not tell: 8 MiB.
  package static let defaultLimit = 2048
  /// As many as serve where numbers mostly come in order: 1 MiB.
  package static let limitInOrder = 256
  /// Words of a node: it has the size of a page.
  static let nodeWords = Page.size / MemoryLayout<UInt64>.size
  /// The number of a frame that has no node, and the place of a node that is not in memory.
  private static let none: Int32 = -1

  /// Place for one node in memory.
  private struct Frame {
    var node = NodePool.none
    /// Whether the node was used since the search for a place passed it.
    var isRecent = false
    /// Whether the node differs from what the file has.
    var isChanged = false
  }

  /// Most nodes in memory.
  private let limit: Int
  /// The words of all frames.
  let words: PageBuffer
  private var frames: [Frame] = []
  /// The frame of each node.
  private var places: [Int32] = []
  /// Numbers of nodes that were freed.
  private var free: [Int32] = []
  /// The frame at which the next search for a place begins.
  private var hand = 0
  private var file: TemporaryFile?

  init(limit: Int) {
    self.limit = limit
    words = PageBuffer(count: limit * Page.size)
  }

  /// Makes a node, which holds what any other one held.
  /// - Returns: its number.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  mutating func make() throws(MigrationError) -> Int {
    let frame = try emptyFrame()
    let node: Int
    if let known = free.popLast() {
      node = Int(known)
    } else {
      node = places.count
      places.append(Self.none)
    }
    places[node] = Int32(frame)
    frames[frame] = Frame(node: Int32(node), isRecent: true, isChanged: true)
    return node
  }

  /// Gives a node up.
  mutating func free(_ node: Int) {
    if places[node] != Self.none { frames[Int(places[node])] = Frame() }
    places[node] = Self.none
    free.append(Int32(node))
  }

  /// Gives all nodes up, and keeps the memory for others.
  mutating func freeAll() {
    frames.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    free.removeAll(keepingCapacity: true)
    hand = 0
  }

  /// The index of the first word of a node, for reading.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ`.
  mutating func load(_ node: Int) throws(MigrationError) -> Int {
    var frame = Int(places[node])
    if places[node] == Self.none {
      frame = try emptyFrame()
      var target = words.mutableSpan(Self.bytes(of: frame))
      try file?.read(at: UInt64(node * Page.size), into: &target)
      places[node] = Int32(frame)
      frames[frame].node = Int32(node)
    }
    frames[frame].isRecent = true
    return frame * Self.nodeWords
  }

  /// The index of the first word of a node that is going to be changed.
  /// - Throws: what `load` throws.
  mutating func change(_ node: Int) throws(MigrationError) -> Int {
    let first = try load(node)
    frames[first / Self.nodeWords].isChanged = true
    return first
  }

  /// A frame without a node: a new one below the limit, else that of a node that was not used for long.
  private mutating func emptyFrame() throws(MigrationError) -> Int {
    if frames.count < limit {
      frames.append(Frame())
      return frames.count - 1
    }
    while frames[hand].isRecent {
      frames[hand].isRecent = false
      hand = (hand + 1) % limit
    }
    let found = hand
    hand = (hand + 1) % limit
    let old = frames[found]
    if old.node != Self.none {
      if old.isChanged { try store(old.node, of: found) }
      places[Int(old.node)] = Self.none
    }
    frames[found] = Frame()
    return found
  }

  private mutating func store(_ node: Int32, of frame: Int) throws(MigrationError) {
    if file == nil { file = try TemporaryFile(size: 0) }
    try file?.write(
      words.span.extracting(Self.bytes(of: frame)), at: UInt64(node) * Page.size64)
  }

  /// The bytes of a frame.
  private static func bytes(of frame: Int) -> Range<Int> {
    frame * Page.size..<(frame + 1) * Page.size
  }
}
