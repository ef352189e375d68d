package import Errors
internal import Wire

/// One or two words of 64 bits for each of many numbers, in the order of the numbers: a B+ tree.
///
/// A second word lasts for the round in which it is stored: when the next round begins, all of them are zero.
///
/// A leaf has entries of a number and its words, an inner node has entries of a number and a node below, which
/// holds the numbers from that one on; the first node below holds all lower ones too. Both begin with a word
/// whose lower half is the number of entries. In a leaf the upper half is the round that its second words are
/// from, so that no leaf is written because a round begins. No node is empty.
package struct WordTree: ~Copyable {
  /// What the tree has for a number.
  package struct Words: Equatable {
    package var first: UInt64
    /// Zero in a tree with one word for each number.
    package var second: UInt64 = 0

    package init(first: UInt64, second: UInt64 = 0) { (self.first, self.second) = (first, second) }
  }

  /// An entry of a node; in an inner node the first word is the number of the node below.
  private struct Entry {
    var number: UInt64
    var words: Words

    init(_ number: UInt64, _ words: Words) { (self.number, self.words) = (number, words) }
  }

  /// A node on the way from the root to a leaf, and the entry in it.
  private struct Step {
    var node: Int
    var index: Int
  }

  private var pool: NodePool
  /// Words of an entry: the number, and its own.
  private let entryWords: Int
  /// Most entries of a node.
  private let nodeLimit: Int
  private var round: UInt32 = 0
  /// Nil while the tree is empty.
  private var root: Int?
  /// Number of levels above the leaves.
  private var height = 0
  /// The way to the entry that was looked for last, from the root on.
  private var path: [Step] = []

  /// - Parameters:
  ///   - words: 2 for a tree with a second word for each number, else 1.
  ///   - memory: most nodes of 4 KiB in memory, at least 8.
  package init(words: Int = 1, memory: Int = NodePool.defaultLimit) {
    pool = NodePool(limit: memory)
    entryWords = 1 + words
    nodeLimit = (NodePool.nodeWords - 1) / entryWords
  }

  /// Begins the next round: every second word is zero.
  mutating func beginRound() { round &+= 1 }

  mutating func removeAll() {
    pool.freeAll()
    (root, height) = (nil, 0)
    path.removeAll(keepingCapacity: true)
  }

  // MARK: Entries

  /// Looks for a number. What is found may be replaced or removed next; if nothing is found, the number may be
  /// inserted next.
  /// - Returns: its words; nil when it is not in the tree.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file, as all of the following.
  package mutating func find(_ number: UInt64) throws(MigrationError) -> Words? {
    guard let first = try descend(to: number) else { return nil }
    let index = path[height].index
    guard index < count(first), pool.words[word: place(of: index, in: first)] == number else {
      return nil
    }
    return words(of: index, in: first)
  }

  /// Looks for the lowest number that is at least `least`.
  mutating func first(atLeast least: UInt64) throws(MigrationError) -> (
    number: UInt64, words: Words
  )? {
    guard let first = try descend(to: least) else { return nil }
    return try current(in: first)
  }

  /// Looks for the number after the one that was found last.
  mutating func next() throws(MigrationError) -> (number: UInt64, words: Words)? {
    path[height].index += 1
    return try current(in: pool.load(path[height].node))
  }

  /// Replaces the words of the number that was found last.
  package mutating func replace(with words: Words) throws(MigrationError) {
    let step = path[height]
    let first = try change(leaf: step.node)
    put(words, at: place(of: step.index, in: first) + 1)
  }

  /// Inserts a number that was looked for last and not found.
  package mutating func insert(_ number: UInt64, _ words: Words) throws(MigrationError) {
    guard root != nil else {
      let leaf = try pool.make()
      try fill(leaf, with: [Entry(number, words)])
      root = leaf
      return
    }
    var (entry, level) = (Entry(number, words), height)
    while true {
      let step = path[level]
      let first = try level == height ? change(leaf: step.node) : pool.change(step.node)
      guard count(first) == nodeLimit else { return insert(entry, at: step.index, of: first) }
      entry = try divide(step, for: entry, isLast: isLast(level))
      guard level > 0 else {
        let top = try pool.make()
        try fill(top, with: [Entry(0, Words(first: UInt64(step.node))), entry])
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
      let place = place(of: step.index, in: first)
      pool.words.move(
        8 * entryWords * (left - step.index), from: 8 * (place + entryWords), to: 8 * place)
      setCount(left, of: first)
      guard left == 0 else { return }
      pool.free(step.node)
    }
    removeAll()
  }

  // MARK: Nodes

  /// The number of entries of the node whose first word has this index.
  private func count(_ first: Int) -> Int { Int(pool.words[word: first] & UInt64(UInt32.max)) }

  private func setCount(_ count: Int, of first: Int) {
    pool.words[word: first] = pool.words[word: first] & ~UInt64(UInt32.max) | UInt64(count)
  }

  /// The index of the first word of an entry.
  private func place(of index: Int, in first: Int) -> Int { first + 1 + entryWords * index }

  private func words(of index: Int, in leaf: Int) -> Words {
    let place = place(of: index, in: leaf)
    let hasSecond = entryWords > 2 && pool.words[word: leaf] >> 32 == UInt64(round)
    return Words(
      first: pool.words[word: place + 1], second: hasSecond ? pool.words[word: place + 2] : 0)
  }

  private func put(_ words: Words, at place: Int) {
    pool.words[word: place] = words.first
    if entryWords > 2 { pool.words[word: place + 1] = words.second }
  }

  /// The node that an entry of an inner node names.
  private func node(_ index: Int, in first: Int) -> Int {
    Int(pool.words[word: place(of: index, in: first) + 1])
  }

  /// The index of the first word of a leaf that is going to be changed. Its second words are of this round
  /// afterwards.
  private mutating func change(leaf node: Int) throws(MigrationError) -> Int {
    let first = try pool.change(node)
    guard entryWords > 2, pool.words[word: first] >> 32 != UInt64(round) else { return first }
    for index in 0..<count(first) { pool.words[word: place(of: index, in: first) + 2] = 0 }
    pool.words[word: first] = UInt64(round) << 32 | UInt64(count(first))
    return first
  }

  /// The index of the first entry of a node whose number is at least `least`.
  private func index(atLeast least: UInt64, in first: Int) -> Int {
    var (low, high) = (0, count(first))
    while low < high {
      let middle = (low + high) / 2
      if pool.words[word: place(of: middle, in: first)] < least {
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
      node = self.node(index, in: first)
    }
    let first = try pool.load(node)
    path.append(Step(node: node, index: index(atLeast: number, in: first)))
    return first
  }

  /// The entry at the end of the path, or the first entry of the next leaf if the path ends behind its leaf.
  private mutating func current(
    in leaf: Int
  ) throws(MigrationError) -> (number: UInt64, words: Words)? {
    var first = leaf
    if path[height].index == count(leaf) {
      guard let next = try nextLeaf() else { return nil }
      first = next
    }
    let index = path[height].index
    return (pool.words[word: place(of: index, in: first)], words(of: index, in: first))
  }

  /// Moves the path to the first entry of the next leaf.
  /// - Returns: the index of the leaf's first word; nil after the last leaf.
  private mutating func nextLeaf() throws(MigrationError) -> Int? {
    for level in (0..<height).reversed() {
      var first = try pool.load(path[level].node)
      guard path[level].index + 1 < count(first) else { continue }
      path[level].index += 1
      for below in level + 1...height {
        let node = node(path[below - 1].index, in: first)
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
    return path[level].index == nodeLimit
  }

  /// Divides a full node, and inserts an entry into one of the two.
  /// - Parameter isLast: whether the entry is after all others: numbers mostly come in order, and the node
  ///   is then left full.
  /// - Returns: the entry of the second node for the node above.
  private mutating func divide(
    _ step: Step, for entry: Entry, isLast: Bool
  ) throws(MigrationError) -> Entry {
    let second = try pool.make()
    guard !isLast else {
      try fill(second, with: [entry])
      return Entry(entry.number, Words(first: UInt64(second)))
    }
    let kept = nodeLimit / 2
    let first = try pool.change(step.node)
    var moved: [Entry] = []
    moved.reserveCapacity(nodeLimit)
    for index in kept..<nodeLimit {
      moved.append(
        Entry(pool.words[word: place(of: index, in: first)], words(of: index, in: first)))
    }
    setCount(kept, of: first)
    if step.index <= kept { insert(entry, at: step.index, of: first) }
    let next = try fill(second, with: moved)
    if step.index > kept { insert(entry, at: step.index - kept, of: next) }
    return Entry(moved[0].number, Words(first: UInt64(second)))
  }

  /// Gives a new node its entries, and a leaf the round.
  /// - Returns: the index of its first word.
  @discardableResult
  private mutating func fill(_ node: Int, with entries: [Entry]) throws(MigrationError) -> Int {
    let first = try pool.change(node)
    pool.words[word: first] = UInt64(round) << 32 | UInt64(entries.count)
    for (index, entry) in entries.enumerated() { put(entry, at: place(of: index, in: first)) }
    return first
  }

  private func put(_ entry: Entry, at place: Int) {
    pool.words[word: place] = entry.number
    put(entry.words, at: place + 1)
  }

  /// Inserts an entry into a node that is not full.
  private func insert(_ entry: Entry, at index: Int, of first: Int) {
    let place = place(of: index, in: first)
    pool.words.move(
      8 * entryWords * (count(first) - index), from: 8 * place, to: 8 * (place + entryWords))
    put(entry, at: place)
    setCount(count(first) + 1, of: first)
  }
}
