/// What a save came to.
public struct SaveSummary: Sendable {
  /// Bytes of the stream.
  public var bytes: UInt64 = 0
  /// Epochs in which the memory was sent.
  public var epochs: UInt32 = 0
  /// Private pages sent, each as often as it was.
  public var privatePages: UInt64 = 0
  /// Private pages withdrawn.
  public var cancelledPages: UInt64 = 0
  /// Shared pages sent with content.
  public var sharedPages: UInt64 = 0
  /// Shared pages that are zero.
  public var zeroPages: UInt64 = 0
}
