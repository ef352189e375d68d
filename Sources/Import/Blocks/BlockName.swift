package import Errors
package import Guest
package import QEMUStream
internal import Wire

/// A RAM block as a user names it.
package struct BlockName {
  /// Names that a refusal lists at most: real machines have fewer blocks.
  private static let listLimit = 50

  let name: SectionName
  /// Bytes of the block.
  let size: UInt64

  package init(_ name: SectionName, size: UInt64) { (self.name, self.size) = (name, size) }

  /// Finds a block, and a range of it.
  /// - Parameters:
  ///   - text: the name, as it is or as tools show it.
  ///   - range: offsets in the block; nil for all of it.
  /// - Returns: its index among all blocks, and the offsets.
  /// - Throws: `MAP-LAYOUT`.
  package static func find(
    _ text: String, _ range: Range<UInt64>?, among blocks: [BlockName]
  ) throws(MigrationError) -> (block: Int, range: Range<UInt64>) {
    let found =
      blocks.firstIndex { $0.name.bytes.elementsEqual(text.utf8) }
      ?? blocks.firstIndex { $0.name.description == text }
    guard let found else {
      let listed = blocks.prefix(listLimit).map { "\"\($0.name)\"" }.joined(separator: ", ")
      let left = blocks.count - min(blocks.count, listLimit)
      throw MigrationError(
        .guestMap, "no RAM block has this name",
        expected: left == 0 ? listed : "\(listed) and \(left) more",
        got: "\"\(printable(text))\"")
    }
    let size = blocks[found].size
    let wanted = range ?? 0..<size
    guard wanted.upperBound <= size else {
      throw MigrationError(
        .guestMap, "range reaches out of RAM block \(blocks[found].name)",
        expected: "within \(Hex.number(size)) bytes",
        got: "\(Hex.number(wanted.lowerBound)) up to \(Hex.number(wanted.upperBound))")
    }
    return (found, wanted)
  }

  /// The blocks of a guest.
  /// - Throws: nothing of a guest that is valid; else `GUEST-SHAPE`.
  package static func blocks(of guest: GuestDescription) throws(MigrationError) -> [BlockName] {
    var blocks: [BlockName] = []
    for block in guest.ramBlocks {
      guard let name = SectionName(block.name) else {
        throw MigrationError(.guestShape, "a RAM block has no name")
      }
      blocks.append(BlockName(name, size: block.size))
    }
    return blocks
  }
}
