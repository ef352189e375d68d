/// The blocks of a list by name, to be searched by halving: a stream may name one of thousands at every
/// page. A search allocates nothing, and needs no hash that a stream could aim at.
struct RAMBlockOrder: Sendable {
  /// Numbers of the blocks in the list.
  private var order: [Int] = []

  init() {}

  init(_ blocks: [RAMBlock]) {
    order = blocks.indices.sorted {
      let other = blocks[$1].name.bytes
      return Self.compare(blocks[$0].name, other.span) < 0
    }
  }

  /// The number of the block with this name.
  /// - Parameter blocks: what this is the order of.
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

  /// Below, at or above zero as `name` comes before `other`, is it, or comes after it: shorter ones
  /// first.
  private static func compare(_ name: SectionName, _ other: Span<UInt8>) -> Int {
    let bytes = name.bytes
    guard bytes.count == other.count else { return bytes.count - other.count }
    for index in bytes.indices where bytes[index] != other[index] {
      return Int(bytes[index]) - Int(other[index])
    }
    return 0
  }
}
