internal import Errors

/// What the values of sections may cost that are decoded together: a description may name elements of no
/// bytes without end, and give them names of any length.
///
/// All sections together may have as many elements as their bodies have bytes, and 65536 more, and one
/// section 262144. A name longer than 64 bytes counts as one more for each 64 bytes, as it is shown with
/// each element; so does the path to a field that is described.
package struct ElementBudget: Sendable {
  /// Elements of one section.
  package static let sectionLimit = 1 << 18
  /// Elements that need no bytes.
  private static let free = 65536
  private static let nameUnit = 64

  private var left: Int
  private var sectionLeft = 0

  /// - Parameter bytes: of all bodies together.
  package init(bytes: Int) { left = bytes + Self.free }

  mutating func beginSection() { sectionLeft = Self.sectionLimit }

  /// Counts an element.
  /// - Throws: `VMDESC-SYNTAX` when there is no room for it.
  mutating func take(name: String, at offset: UInt64) throws(MigrationError) {
    let cost = 1 + name.utf8.count / Self.nameUnit
    guard cost <= min(left, sectionLeft) else {
      (left, sectionLeft) = (left < cost ? 0 : left, 0)
      throw MigrationError(
        .vmdescriptionSyntax, "VM description has too many elements", at: offset)
    }
    left -= cost
    sectionLeft -= cost
  }
}
