package import Errors
internal import Wire

extension GuestDescription {
  /// Checks that another guest can be this one at another time: the same machine, RAM blocks and
  /// map.
  /// - Throws: `GUEST-SHAPE`.
  package func requireSameShape(as other: GuestDescription) throws(MigrationError) {
    guard machine == other.machine else {
      throw MigrationError(
        .guestShape, "a later round has another machine type",
        expected: "\"\(printable(machine))\"",
        got: "\"\(printable(other.machine))\"")
    }
    guard ramBlocks == other.ramBlocks else {
      throw MigrationError(
        .guestShape, "a later round has other RAM blocks", expected: Self.text(ramBlocks),
        got: Self.text(other.ramBlocks))
    }
    guard map == other.map else {
      throw MigrationError(.guestShape, "memory of a later round is mapped elsewhere")
    }
  }

  private static func text(_ blocks: [RAMBlock]) -> String {
    blocks.prefix(4).map { "\"\(printable($0.name))\" of \(Hex.number($0.size))" }
      .joined(separator: ", ") + (blocks.count > 4 ? ", ..." : "")
  }
}
