/// An index of a block list for binary search by name, since a stream may name one of thousands of
/// blocks in every page record. A search allocates nothing, and uses no hash for which a stream
/// could craft collisions.
struct RAMBlockOrder: Sendable {
  /// Indices of the blocks in the list, in the order of their names.
  private var order: [Int] = []

  init() {}

  init(_ blocks: [RAMBlock]) {
    order = blocks.indices.sorted {
      let other = blocks[$1].name.bytes
      return Self.compare(blocks[$0].name, other.span) < 0
    }
  }

  /// The index of the block with this name.
  /// - Parameter blocks: the list from which the index was made.
  func index(of name: Span<UInt8>, in blocks: [RAMBlock]) -> Int? {
    var (low, high) = (0, order.count)
    while low < high {
      let middle = (low + high) / 2
      let found = Self.compare(blocks[order[middle]].name, name)
      if found == 0 { return order[middle] }
      if found < 0 { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  /// Below, equal to or above zero when `name` sorts before, equals or sorts after `other`. Shorter
  /// names sort first.
  private static func compare(_ name: SectionName, _ other: Span<UInt8>) -> Int {
    let bytes = name.bytes
    guard bytes.count == other.count else { return bytes.count - other.count }
    for index in bytes.indices where bytes[index] != other[index] {
      return Int(bytes[index]) - Int(other[index])
    }
    return 0
  }
}
