internal import Errors
internal import Wire

/// 64 bits, not all of them zero, for each of many numbers, in the order of the numbers: a B+ tree.
///
/// A leaf has entries of a number and its bits, an inner node has entries of a number and a node below, which
/// holds the numbers from that one on; the first node below holds all lower ones too. Both are a word
/// with the count, then two words for each entry. No node is empty.
struct BitTree: ~Copyable {
  /// Most entries of a node.
  private static let nodeLimit = (NodePool.nodeWords - 1) / 2

  /// A node on the way from the root to a leaf, and the entry in it.
  private struct Step {
    var node: Int
    var index: Int
  }

  private var pool: NodePool
  /// Nil while the tree is empty.
  private var root: Int?
  /// Number of levels above the leaves.
  private var height = 0
  /// The way to the entry that was looked for last, from the root on.
  private var path: [Step] = []

  /// - Parameter memory: most nodes of 4 KiB in memory.
  init(memory: Int) { pool = NodePool(limit: memory) }

  mutating func removeAll() {
    pool.freeAll()
    (root, height) = (nil, 0)
    path.removeAll(keepingCapacity: true)
  }

  // MARK: Entries

  /// Looks for a number. What is found may be replaced or removed next; if nothing is found, the number may be
  /// inserted next.
  /// - Returns: its bits; zero when it is not in the tree.
  mutating func find(_ number: UInt64) throws(MigrationError) -> UInt64 {
    guard let first = try descend(to: number) else { return 0 }
    let step = path[height]
    guard step.index < count(first), pool.words[word: first + 1 + 2 * step.index] == number else {
      return 0
    }
    return pool.words[word: first + 2 + 2 * step.index]
  }

  /// Looks for the lowest number that is at least `least`.
  mutating func first(atLeast least: UInt64) throws(MigrationError) -> (
    number: UInt64, bits: UInt64
  )? {
    guard let first = try descend(to: least) else { return nil }
    return try current(in: first)
  }

  /// Looks for the number after the one that was found last.
  mutating func next() throws(MigrationError) -> (number: UInt64, bits: UInt64)? {
    path[height].index += 1
    return try current(in: pool.load(path[height].node))
  }

  /// Replaces the bits of the number that was found last.
  mutating func replace(with bits: UInt64) throws(MigrationError) {
    let step = path[height]
    let first = try pool.change(step.node)
    pool.words[word: first + 2 + 2 * step.index] = bits
  }

  /// Inserts a number that was looked for last and not found.
  mutating func insert(_ number: UInt64, _ bits: UInt64) throws(MigrationError) {
    guard root != nil else {
      let leaf = try pool.make()
      try fill(leaf, [number, bits])
      root = leaf
      return
    }
    var (key, value, level) = (number, bits, height)
    while true {
      let step = path[level]
      let first = try pool.change(step.node)
      guard count(first) == Self.nodeLimit else {
        return insert(key, value, at: step.index, of: first)
      }
      (key, value) = try divide(step, for: (key, value), isLast: isLast(level))
      guard level > 0 else {
        let top = try pool.make()
        try fill(top, [0, UInt64(step.node), key, value])
        (root, height) = (top, height + 1)
        return
      }
      level -= 1
      path[level].index += 1
    }
  }

  /// Removes the number that was found last.
  mutating func remove() throws(MigrationError) {
    for level in (0...height).reversed() {
      let step = path[level]
      let first = try pool.change(step.node)
      let left = count(first) - 1
      let place = first + 1 + 2 * step.index
      pool.words.move(16 * (left - step.index), from: 8 * (place + 2), to: 8 * place)
      pool.words[word: first] = UInt64(left)
      guard left == 0 else { return }
      pool.free(step.node)
    }
    removeAll()
  }

  // MARK: Nodes

  /// The number of entries of the node whose first word has this index.
  private func count(_ first: Int) -> Int { Int(pool.words[word: first]) }

  /// The index of the first entry of a node whose number is at least `least`.
  private func index(atLeast least: UInt64, in first: Int) -> Int {
    var (low, high) = (0, count(first))
    while low < high {
      let middle = (low + high) / 2
      if pool.words[word: first + 1 + 2 * middle] < least {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  /// Finds the way to the leaf in which a number is or would be inserted, and its place in the leaf.
  /// - Returns: the index of the leaf's first word; nil when the tree is empty.
  private mutating func descend(to number: UInt64) throws(MigrationError) -> Int? {
    path.removeAll(keepingCapacity: true)
    guard var node = root else { return nil }
    for _ in 0..<height {
      let first = try pool.load(node)
      let index = max(self.index(atLeast: number + 1, in: first) - 1, 0)
      path.append(Step(node: node, index: index))
      node = Int(pool.words[word: first + 2 + 2 * index])
    }
    let first = try pool.load(node)
    path.append(Step(node: node, index: index(atLeast: number, in: first)))
    return first
  }

  /// The entry at the end of the path, or the first entry of the next leaf if the path ends behind its leaf.
  private mutating func current(
    in leaf: Int
  ) throws(MigrationError) -> (number: UInt64, bits: UInt64)? {
    var first = leaf
    if path[height].index == count(leaf) {
      guard let next = try nextLeaf() else { return nil }
      first = next
    }
    let place = first + 1 + 2 * path[height].index
    return (pool.words[word: place], pool.words[word: place + 1])
  }

  /// Moves the path to the first entry of the next leaf.
  /// - Returns: the index of the leaf's first word; nil after the last leaf.
  private mutating func nextLeaf() throws(MigrationError) -> Int? {
    for level in (0..<height).reversed() {
      var first = try pool.load(path[level].node)
      guard path[level].index + 1 < count(first) else { continue }
      path[level].index += 1
      for below in level + 1...height {
        let node = Int(pool.words[word: first + 2 + 2 * path[below - 1].index])
        path[below] = Step(node: node, index: 0)
        first = try pool.load(node)
      }
      return first
    }
    return nil
  }

  /// Whether the path leads behind the last entry of its node, and each node above is the last one.
  private mutating func isLast(_ level: Int) throws(MigrationError) -> Bool {
    for above in 0..<level {
      guard path[above].index == count(try pool.load(path[above].node)) - 1 else { return false }
    }
    return path[level].index == Self.nodeLimit
  }

  /// Divides a full node, and inserts an entry into one of the two.
  /// - Parameter isLast: whether the entry is after all others: numbers mostly come in order, and the node
  ///   is then left full.
  /// - Returns: the entry of the second node for the node above.
  private mutating func divide(
    _ step: Step, for entry: (key: UInt64, value: UInt64), isLast: Bool
  ) throws(MigrationError) -> (key: UInt64, value: UInt64) {
    let second = try pool.make()
    guard !isLast else {
      try fill(second, [entry.key, entry.value])
      return (entry.key, UInt64(second))
    }
    let kept = Self.nodeLimit / 2
    let first = try pool.change(step.node)
    var moved: [UInt64] = []
    moved.reserveCapacity(NodePool.nodeWords)
    for word in first + 1 + 2 * kept..<first + 1 + 2 * Self.nodeLimit {
      moved.append(pool.words[word: word])
    }
    pool.words[word: first] = UInt64(kept)
    if step.index <= kept { insert(entry.key, entry.value, at: step.index, of: first) }
    let next = try fill(second, moved)
    if step.index > kept { insert(entry.key, entry.value, at: step.index - kept, of: next) }
    return (moved[0], UInt64(second))
  }

  /// Gives a node its entries.
  /// - Returns: the index of its first word.
  @discardableResult
  private mutating func fill(_ node: Int, _ entries: [UInt64]) throws(MigrationError) -> Int {
    let first = try pool.change(node)
    pool.words[word: first] = UInt64(entries.count / 2)
    for (index, word) in entries.enumerated() { pool.words[word: first + 1 + index] = word }
    return first
  }

  /// Inserts an entry into a node that is not full.
  private func insert(_ key: UInt64, _ value: UInt64, at index: Int, of first: Int) {
    let place = first + 1 + 2 * index
    pool.words.move(16 * (count(first) - index), from: 8 * place, to: 8 * (place + 2))
    pool.words[word: place] = key
    pool.words[word: place + 1] = value
    pool.words[word: first] += 1
  }
}
