package import Errors

/// The content of packed bytes, as long as it is not far longer than they are. Of the formats only
/// bzip2 can pass the limit: it packs 45,899,235 equal bytes into 46.
package final class LimitedContent: ByteSource {
  /// Bytes of content for each packed byte: what zstd reaches, 128 KiB in a block of 4 bytes.
  package static let ratio: UInt64 = 32_768
  /// Bytes of content that any file may have.
  package static let free: UInt64 = 1 << 30

  private let content: any ByteSource
  private let packed: StreamInput
  /// Offset of the first packed byte.
  private let start: UInt64
  private let name: String
  private var count: UInt64 = 0

  /// - Parameters:
  ///   - content: unpacks `packed`, which is positioned at the first packed byte.
  ///   - name: the name of the format in messages.
  init(_ content: any ByteSource, of packed: StreamInput, name: String) {
    (self.content, self.packed, self.name) = (content, packed, name)
    start = packed.offset
  }

  @unsafe package func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    // `buffer` may be filled for the length of this call.
    let got = try unsafe content.read(into: buffer)
    count += UInt64(got)
    guard count <= Self.free || (count - Self.free) / Self.ratio <= packed.offset - start else {
      throw MigrationError(
        .imageFormat, "\(name) unpacks to far more bytes than it has", at: packed.offset,
        expected: "at most \(Self.free >> 30) GiB, and \(Self.ratio) times the packed bytes")
    }
    return got
  }
}
