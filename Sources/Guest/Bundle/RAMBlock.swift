package import Errors
internal import Wire

/// One block of guest RAM, as QEMU names and sizes it: "pc.ram".
package struct RAMBlock: Sendable, Hashable {
  /// Largest length of a name in bytes, which is QEMU's limit.
  package static let maximumNameLength = 255
  /// Largest number of blocks of a guest.
  package static let maximumCount = 1024

  /// 1 to 255 bytes of UTF-8. It is only a label and never used as a file name.
  package let name: String
  /// Bytes; a multiple of 4096, not zero, at most 2^52.
  package let size: UInt64

  /// - Throws: `GUEST-SHAPE` when the name or size is not as above.
  package init(name: String, size: UInt64) throws(MigrationError) {
    guard (1...Self.maximumNameLength).contains(name.utf8.count) else {
      throw MigrationError(
        .guestShape, "name of a RAM block has a wrong length",
        expected: "1 to \(Self.maximumNameLength) bytes", got: "\(name.utf8.count)")
    }
    guard size > 0, size % Page.size64 == 0, size <= GPARange.limit else {
      throw MigrationError(
        .guestShape, "RAM block size is not allowed",
        expected: "whole pages, 4 KiB to 2^52 bytes", got: Hex.number(size))
    }
    self.name = name
    self.size = size
  }
}
