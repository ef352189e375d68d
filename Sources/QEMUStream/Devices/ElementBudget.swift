internal import Errors

/// A limit for the values of sections that are decoded together, since a description may name any
/// number of elements of no bytes, with names of any length.
///
/// All sections together may have as many elements as their bodies have bytes, plus 65536, and one
/// section may have as many. A name longer than 64 bytes counts as one more element for each 64
/// bytes, since it is shown with each element. The path to a described field counts in the same
/// way.
package struct ElementBudget: Sendable {
  /// Most elements of one section.
  package static let sectionLimit = 1 << 16
  /// Number of elements that are allowed in addition to the bytes.
  private static let free = sectionLimit
  private static let nameUnit = 64

  private let perSection: Int
  private var left: Int
  private var sectionLeft = 0

  /// - Parameters:
  ///   - bytes: size in bytes of all bodies together.
  ///   - perSection: most elements of one section.
  package init(bytes: Int, perSection: Int = ElementBudget.sectionLimit) {
    (left, self.perSection) = (bytes + Self.free, perSection)
  }

  mutating func beginSection() { sectionLeft = perSection }

  /// Counts an element.
  /// - Throws: `VMDESC-SYNTAX` when the budget is used up.
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
