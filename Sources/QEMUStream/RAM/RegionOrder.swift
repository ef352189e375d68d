/// Regions of memory in order, each with the pages of it that are in a set.
///
/// The regions are in leaves of a few hundred entries, so that an insertion or removal moves few
/// entries whatever the number of regions, and the regions of a range are found without a search
/// through others.
struct RegionOrder {
  typealias Entry = (region: UInt64, pages: RegionPages)

  /// Where an entry is, until the next insertion or removal.
  struct Place {
    fileprivate var leaf: Int
    fileprivate var index: Int
  }

  /// Most entries of a leaf; a full leaf is divided.
  private static let leafLimit = 512

  /// The leaves in order, none empty.
  private var leaves: [[Entry]] = []

  subscript(place: Place) -> Entry {
    get { leaves[place.leaf][place.index] }
    set { leaves[place.leaf][place.index] = newValue }
  }

  /// The place of a region, if it is in the order.
  func place(of region: UInt64) -> Place? {
    guard let place = first(atLeast: region), self[place].region == region else { return nil }
    return place
  }

  /// The place of the first region that is at least `least`.
  func first(atLeast least: UInt64) -> Place? {
    let leaf = self.leaf(for: least)
    guard leaves.indices.contains(leaf) else { return nil }
    let index = Self.index(of: least, in: leaves[leaf])
    if index < leaves[leaf].count { return Place(leaf: leaf, index: index) }
    return leaf + 1 < leaves.count ? Place(leaf: leaf + 1, index: 0) : nil
  }

  /// Precondition: the region is not in the order.
  mutating func insert(_ region: UInt64, _ pages: RegionPages) {
    guard !leaves.isEmpty else {
      leaves = [[(region, pages)]]
      return
    }
    var leaf = self.leaf(for: region)
    if leaves[leaf].count == Self.leafLimit {
      // Regions mostly come in order: the last leaf is then left full.
      if leaf == leaves.count - 1, leaves[leaf][Self.leafLimit - 1].region < region {
        leaves.append([(region, pages)])
        return
      }
      divide(leaf)
      leaf = self.leaf(for: region)
    }
    let count = leaves[leaf].count
    // An array that grows by itself doubles: half of the memory of most leaves would be unused.
    if count == leaves[leaf].capacity { leaves[leaf].reserveCapacity(count + count / 4 + 1) }
    leaves[leaf].insert((region, pages), at: Self.index(of: region, in: leaves[leaf]))
  }

  mutating func remove(_ place: Place) {
    leaves[place.leaf].remove(at: place.index)
    if leaves[place.leaf].isEmpty { leaves.remove(at: place.leaf) }
  }

  /// Makes two leaves of one, each with no more memory than it needs.
  private mutating func divide(_ leaf: Int) {
    let whole = leaves[leaf]
    leaves[leaf] = Array(whole[..<(whole.count / 2)])
    leaves.insert(Array(whole[(whole.count / 2)...]), at: leaf + 1)
  }

  /// The last leaf that begins at or before `region`, or else the first leaf.
  private func leaf(for region: UInt64) -> Int {
    var (low, high) = (0, leaves.count)
    while low < high {
      let middle = (low + high) / 2
      if leaves[middle][0].region <= region { low = middle + 1 } else { high = middle }
    }
    return max(low - 1, 0)
  }

  /// The index of `region` in a leaf, or the index at which it would be inserted.
  private static func index(of region: UInt64, in leaf: [Entry]) -> Int {
    var (low, high) = (0, leaf.count)
    while low < high {
      let middle = (low + high) / 2
      if leaf[middle].region < region { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
