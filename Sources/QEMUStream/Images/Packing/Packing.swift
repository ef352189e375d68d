package import Errors

/// The format in which a stream is packed, named after the program that unpacks it.
package enum Packing: String, Sendable, CaseIterable {
  case gzip
  case xz
  case zstd
  case lz4
  case bzip2
  case lzop

  /// Nil for a file that is not packed.
  package init?(_ kind: FileKind) {
    switch kind {
    case .gzip: self = .gzip
    case .xz: self = .xz
    case .zstd: self = .zstd
    case .lz4, .oldLZ4: self = .lz4
    case .bzip2: self = .bzip2
    case .lzop: self = .lzop
    case .stream, .libvirtImage, .qcow2Image, .channel, .cprState, .elf, .kdump, .flattenedKdump,
      .lime, .vmdk, .vhdx, .vhd, .vdi, .zip, .instance, .offer, .abort, .detachedSeal:
      return nil
    }
  }

  /// The content of packed bytes, unpacked as it is read. Its offsets are counted from 0.
  /// - Parameter packed: positioned at the first packed byte.
  /// - Throws: `INTERNAL` when a library cannot be set up. Later, reading throws `IMAGE-DATA` for
  ///   bytes that do not unpack, `IMAGE-FORMAT` for a variant that is not supported or content that is
  ///   too long, `STREAM-TRUNCATED`.
  package func content(of packed: StreamInput) throws(MigrationError) -> StreamInput {
    let start = packed.offset
    return StreamInput(
      LimitedContent(try source(of: packed), name: rawValue, from: start) {
        packed.offset - start
      })
  }

  private func source(of packed: StreamInput) throws(MigrationError) -> any ByteSource {
    switch self {
    case .gzip: UnpackingSource(packed, try ZlibUnpacker(.gzip), name: rawValue)
    case .xz: UnpackingSource(packed, try XZUnpacker(), name: rawValue)
    case .zstd: UnpackingSource(packed, try ZstdUnpacker(), name: rawValue)
    case .lz4: ContentSource(packed, LZ4Reader())
    case .bzip2: ContentSource(packed, Bzip2Reader())
    case .lzop: ContentSource(packed, LzopReader())
    }
  }
}
