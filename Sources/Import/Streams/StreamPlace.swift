/// Position of a stream in a file.
package struct StreamPlace: Sendable, Equatable {
  /// Offset in the file of the stream, or of the image that holds it.
  package var offset: UInt64 = 0
  /// Length in bytes from that offset on; nil for all bytes to the end of the file.
  package var length: UInt64?
  /// Name or id of the internal snapshot of a qcow2 image whose VM state is the stream.
  package var snapshot: String?

  package init(offset: UInt64 = 0, length: UInt64? = nil, snapshot: String? = nil) {
    (self.offset, self.length, self.snapshot) = (offset, length, snapshot)
  }
}
