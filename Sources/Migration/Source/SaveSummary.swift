/// The result of a save.
package struct SaveSummary: Sendable {
  /// Length of the stream in bytes.
  package var bytes: UInt64 = 0
  /// Number of epochs in which the memory was sent.
  package var epochs: UInt32 = 0
  /// Number of private pages sent; a page counts each time it was sent.
  package var privatePages: UInt64 = 0
  /// Number of private pages withdrawn.
  package var cancelledPages: UInt64 = 0
  /// Number of shared pages sent with content.
  package var sharedPages: UInt64 = 0
  /// Number of shared pages that are zero.
  package var zeroPages: UInt64 = 0
}
