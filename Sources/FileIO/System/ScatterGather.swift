internal import Glibc
internal import SystemPackage
internal import Wire

// Transfers between a contiguous range of a file and separate pieces of a buffer: one system call
// for many pages, and no copy to make them contiguous.

/// Largest number of pieces for one call, which is Linux's IOV_MAX.
private let maximumPieces = 1024

extension SystemCall {
  /// preadv(2): fills the pieces, in order, with the bytes that begin at `offset`.
  /// - Returns: whether all pieces were filled; false when the file ended before that.
  static func read(
    _ descriptor: FileDescriptor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>,
    _ pieces: SpacedPieces
  ) throws(Errno) -> Bool {
    precondition(pieces.end <= buffer.count)
    return try unsafe buffer.withUnsafeMutableBytes { (bytes) throws(Errno) in
      try unsafe transfer(bytes.baseAddress, pieces, at: offset) { vectors, count, position in
        unsafe preadv(descriptor.rawValue, vectors, count, position)
      }
    }
  }

  /// pwritev(2): writes the pieces one after the other without gaps, beginning at `offset`.
  static func write(
    _ descriptor: FileDescriptor, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(Errno) {
    precondition(pieces.end <= bytes.count)
    let isWhole = try unsafe bytes.withUnsafeBytes { (bytes) throws(Errno) in
      // The call only reads the memory to which the vectors point.
      let base = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
      return try unsafe transfer(base, pieces, at: offset) { vectors, count, position in
        unsafe pwritev(descriptor.rawValue, vectors, count, position)
      }
    }
    guard isWhole else { throw .ioError }
  }

  /// Repeats `call` until all pieces are transferred.
  /// - Returns: false when a call transferred nothing.
  private static func transfer(
    _ base: UnsafeMutableRawPointer?, _ pieces: SpacedPieces, at offset: UInt64,
    _ call: (UnsafePointer<iovec>, CInt, off_t) -> Int
  ) throws(Errno) -> Bool {
    var done = 0
    while done < pieces.total {
      let first = done / pieces.size
      let into = done % pieces.size
      let count = min(pieces.count - first, maximumPieces)
      guard let position = off_t(exactly: offset &+ UInt64(done)) else { throw .fileTooLarge }
      // Each vector is one piece of the buffer; the part of the first that was already transferred
      // is left out.
      let status = unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: count) {
        vectors in
        for index in 0..<count {
          let start = pieces.start + (first + index) * pieces.stride
          unsafe vectors.initializeElement(
            at: index, to: iovec(iov_base: base.map { unsafe $0 + start }, iov_len: pieces.size))
        }
        unsafe vectors[0].iov_base = vectors[0].iov_base.map { unsafe $0 + into }
        unsafe vectors[0].iov_len -= into
        guard let start = unsafe UnsafePointer(vectors.baseAddress) else { return 0 }
        return unsafe call(start, CInt(count), position)
      }
      guard status != -1 else {
        let failure = Errno(rawValue: errno)
        guard failure == .interrupted else { throw failure }
        continue
      }
      guard status > 0 else { return false }
      done += status
    }
    return true
  }
}
