/// A page of guest memory: what QEMU sends, what an RMP entry covers and what is sealed.
@usableFromInline
package enum Page {
  /// Bytes. Computed, so that every module folds it into its uses.
  @inlinable package static var size: Int { 4096 }

  /// Bytes, as addresses are reckoned.
  @inlinable package static var size64: UInt64 { 4096 }
}
