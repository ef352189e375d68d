package import Errors

/// The content of packed bytes, as long as it is not far longer than they are.
///
/// Of the formats only bzip2 can pass the limit with content alone: it packs 45,899,235 equal bytes into 46.
/// With all others it is passed by content whose records are packed pages.
package final class LimitedContent: UnpackedSource {
  /// Bytes of content for each packed byte: what zstd reaches, 128 KiB in a block of 4 bytes.
  package static let ratio: UInt64 = 32_768
  /// Bytes of content that any file may have.
  package static let free: UInt64 = 1 << 30

  private let content: any ByteSource
  private let name: String
  /// Offset of the first packed byte.
  private let start: UInt64
  /// Number of packed bytes that have been read.
  private let packed: () -> UInt64
  private var count: UInt64 = 0

  /// - Parameters:
  ///   - content: unpacks bytes.
  ///   - name: what messages call that which is packed.
  ///   - start: offset of the first packed byte.
  ///   - packed: tells how many packed bytes have been read.
  package init(
    _ content: any ByteSource, name: String, from start: UInt64 = 0,
    packed: @escaping () -> UInt64
  ) {
    (self.content, self.name, self.start, self.packed) = (content, name, start, packed)
  }

  @unsafe package func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    // `buffer` may be filled for the length of this call.
    let got = try unsafe content.read(into: buffer)
    try count(got)
    return got
  }

  package func count(_ bytes: Int) throws(MigrationError) {
    count += UInt64(bytes)
    guard count > Self.free else { return }
    let packed = packed()
    guard (count - Self.free) / Self.ratio <= packed else {
      throw MigrationError(
        .imageFormat, "\(name) unpacks to far more bytes than it has", at: start + packed,
        expected: "at most \(Self.free >> 30) GiB, and \(Self.ratio) times the packed bytes")
    }
  }
}
