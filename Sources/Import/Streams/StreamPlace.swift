/// Where in a file a stream lies.
package struct StreamPlace: Sendable, Equatable {
  /// Byte of the file at which the stream, or the image it is in, begins.
  package var offset: UInt64 = 0
  /// Bytes from there on that belong to it; nil for all.
  package var length: UInt64?
  /// Name or id of the internal snapshot of a qcow2 image whose VM state it is.
  package var snapshot: String?

  package init(offset: UInt64 = 0, length: UInt64? = nil, snapshot: String? = nil) {
    (self.offset, self.length, self.snapshot) = (offset, length, snapshot)
  }
}
