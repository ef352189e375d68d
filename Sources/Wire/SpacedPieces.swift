/// Pieces of one size that lie at equal distances in a buffer: the pages between the headers of a
/// stream.
package struct SpacedPieces: Sendable, Equatable {
  /// Offset of the first piece in the buffer.
  package var start: Int
  /// Size of a piece in bytes.
  package var size: Int
  /// Bytes from the start of a piece to that of the next; at least `size`.
  package var stride: Int
  /// Number of pieces.
  package var count: Int

  package init(start: Int, size: Int, stride: Int, count: Int) {
    precondition(start >= 0 && size > 0 && stride >= size && count >= 0)
    (self.start, self.size, self.stride, self.count) = (start, size, stride, count)
  }

  /// Bytes of all pieces.
  package var total: Int { size * count }

  /// Bytes from the start of the buffer to the end of the last piece.
  package var end: Int { count == 0 ? start : start + (count - 1) * stride + size }
}
