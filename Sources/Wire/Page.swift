/// A page of guest memory: the unit that QEMU sends, that a 4 KiB RMP entry covers and that is
/// sealed.
@usableFromInline
package enum Page {
  /// Size in bytes. It is computed, so that every module treats it as a constant.
  @inlinable package static var size: Int { 4096 }

  /// Size in bytes, with the type of addresses.
  @inlinable package static var size64: UInt64 { 4096 }
}
