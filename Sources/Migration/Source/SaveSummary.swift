/// What a save came to.
package struct SaveSummary: Sendable {
  /// Bytes of the stream.
  package var bytes: UInt64 = 0
  /// Epochs in which the memory was sent.
  package var epochs: UInt32 = 0
  /// Private pages sent, each as often as it was.
  package var privatePages: UInt64 = 0
  /// Private pages withdrawn.
  package var cancelledPages: UInt64 = 0
  /// Shared pages sent with content.
  package var sharedPages: UInt64 = 0
  /// Shared pages that are zero.
  package var zeroPages: UInt64 = 0
}
