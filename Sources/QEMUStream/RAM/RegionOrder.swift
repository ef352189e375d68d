/// Regions of memory in order, each with the index of its bits.
///
/// The regions are in leaves of a few hundred entries, so that an insertion or removal moves few
/// entries whatever the number of regions, and the regions of a range are found without a search
/// through others.
struct RegionOrder {
  typealias Entry = (region: UInt64, first: Int)

  /// Most entries of a leaf; a full leaf is divided.
  private static let leafLimit = 512

  /// The leaves in order, none empty.
  private var leaves: [[Entry]] = []
  private(set) var count = 0

  /// The first region that is at least `least`.
  func first(atLeast least: UInt64) -> Entry? {
    let leaf = self.leaf(for: least)
    guard leaves.indices.contains(leaf) else { return nil }
    let place = Self.place(of: least, in: leaves[leaf])
    if place < leaves[leaf].count { return leaves[leaf][place] }
    return leaf + 1 < leaves.count ? leaves[leaf + 1][0] : nil
  }

  /// Precondition: the region is not in the order.
  mutating func insert(_ region: UInt64, first: Int) {
    count += 1
    guard !leaves.isEmpty else {
      leaves = [[(region, first)]]
      return
    }
    let leaf = self.leaf(for: region)
    leaves[leaf].insert((region, first), at: Self.place(of: region, in: leaves[leaf]))
    guard leaves[leaf].count > Self.leafLimit else { return }
    // Regions are mostly inserted in order, so the last leaf is left full when it is divided.
    let kept = leaf == leaves.count - 1 ? Self.leafLimit : Self.leafLimit / 2
    let moved = Array(leaves[leaf][kept...])
    leaves[leaf].removeSubrange(kept...)
    leaves.insert(moved, at: leaf + 1)
  }

  /// Precondition: the region is in the order.
  mutating func remove(_ region: UInt64) {
    let leaf = self.leaf(for: region)
    leaves[leaf].remove(at: Self.place(of: region, in: leaves[leaf]))
    count -= 1
    if leaves[leaf].isEmpty { leaves.remove(at: leaf) }
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
  private static func place(of region: UInt64, in leaf: [Entry]) -> Int {
    var (low, high) = (0, leaf.count)
    while low < high {
      let middle = (low + high) / 2
      if leaf[middle].region < region { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
