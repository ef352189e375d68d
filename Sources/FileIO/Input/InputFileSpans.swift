package import Errors
internal import Wire

// The same reads for callers that hold spans and arrays: the bytes are borrowed for the call.
extension InputFile {
  /// Reads the next bytes that are available; see `read(into:)`.
  /// - Throws: `IO-READ`.
  package func read(into buffer: inout MutableSpan<UInt8>) throws(MigrationError) -> Int {
    try unsafe buffer.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
      try unsafe read(into: bytes)
    }
  }

  /// Reads the next bytes until `buffer` is full or the input ends; see `readFully(into:)`.
  /// - Throws: `IO-READ`.
  package func readFully(into buffer: inout MutableSpan<UInt8>) throws(MigrationError) -> Int {
    try unsafe buffer.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
      try unsafe readFully(into: bytes)
    }
  }

  /// Fills `buffer` with the bytes that begin at `offset`; see `read(at:into:)`.
  /// - Throws: `IO-READ`.
  package func read(
    at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try unsafe buffer.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
      try unsafe read(at: offset, into: bytes)
    }
  }

  /// Reads a regular file from its first byte to its last, piece by piece.
  /// - Throws: `INPUT-KIND`, `IO-READ`; what `take` throws.
  package func readPieces(
    _ take: (Span<UInt8>) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    let size = try regularSize()
    let buffer = PageBuffer(count: 256 << 10)
    var place: UInt64 = 0
    while place < size {
      let count = Int(min(UInt64(buffer.count), size - place))
      var target = buffer.mutableSpan(0..<count)
      try read(at: place, into: &target)
      try take(buffer.span.extracting(first: count))
      place += UInt64(count)
    }
  }

  /// Reads the rest of a small input.
  /// - Parameter limit: largest number of bytes that the rest may have.
  /// - Throws: `IO-READ`; `INPUT-KIND` when there are more than `limit` bytes.
  package func readAll(limit: Int) throws(MigrationError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: min(limit + 1, 64 << 10))
    while true {
      var span = chunk.mutableSpan
      let count = try read(into: &span)
      if count == 0 { return bytes }
      guard count <= limit - bytes.count else {
        throw MigrationError(
          .inputKind, "\(name) is too long", expected: "at most \(limit) bytes",
          got: size.map { "\($0)" } ?? "more")
      }
      bytes.append(contentsOf: chunk[..<count])
    }
  }
}

/// Reads a whole small file; "-" is standard input.
/// - Parameters:
///   - limit: largest size of the file in bytes.
///   - demand: the kind of file that is allowed.
/// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`.
package func readSmallFile(
  _ path: String, limit: Int, _ demand: InputFile.Demand = .anyKind
) throws(MigrationError) -> [UInt8] {
  try InputFile(path, demand).readAll(limit: limit)
}
