package import Errors
internal import Wire

/// The header of a libvirt save image, which precedes the stream (libvirt
/// `src/qemu/qemu_saveimage.h`).
///
///     offset  size  field
///          0    16  magic        LibvirtQemudSave, or LibvirtQemudPart until it is whole
///         16     4  version      1 or 2
///         20     4  length       of the domain's description and its padding
///         24     4  running      whether the guest ran before it was saved
///         28     4  format       of the stream
///         32     4  cookie       its offset within the description; 0 for none
///         36    56  zero
///         92        the domain's description, then the stream
///
/// Integers are in the byte order of the host that wrote the image, which is found from the
/// version.
package struct LibvirtImage: Equatable, Sendable {
  /// The format in which the stream is packed.
  package enum Format: UInt32, Sendable, CaseIterable {
    case raw = 0
    case gzip = 1
    case bzip2 = 2
    case xz = 3
    case lzop = 4
    case zstd = 5
    /// mapped-ram, not packed.
    case sparse = 6

    /// The name that libvirt gives the format.
    package var name: String { "\(self)" }

    /// The packing of the stream; nil for a stream that is not packed.
    package var packing: Packing? {
      switch self {
      case .raw, .sparse: nil
      case .gzip: .gzip
      case .bzip2: .bzip2
      case .xz: .xz
      case .lzop: .lzop
      case .zstd: .zstd
      }
    }
  }

  /// The first bytes of an image, whether finished or not.
  static let magicStart = Array("LibvirtQemud".utf8)
  static let headerSize = 92
  /// Longest description that is kept, in bytes: libvirt accepts no longer text of a domain.
  package static let domainLimit = 4 << 20

  /// Whether libvirt wrote the image to its end.
  package var isWhole: Bool
  package var version: UInt32
  /// Size in bytes of the data between header and stream: the domain's description, as XML, and
  /// padding.
  package var descriptionSize: UInt32
  package var wasRunning: Bool
  package var format: Format
  /// The domain's description: XML up to the first zero byte; nil when it is longer than
  /// `domainLimit`.
  package var domain: [UInt8]?

  /// Reads the header and the description.
  /// - Parameter layer: what unpacks the image.
  /// - Throws: `IMAGE-HEADER`; `IMAGE-FORMAT`, also for a packed stream within a layer of packing;
  ///   `STREAM-TRUNCATED`.
  package init(_ input: StreamInput, within layer: PackingLayer?) throws(MigrationError) {
    let start = input.offset
    let header = try input.readArray(Self.headerSize)
    let magic = String(decoding: header[..<16], as: UTF8.self)
    guard magic == "LibvirtQemudSave" || magic == "LibvirtQemudPart" else {
      throw MigrationError(
        .imageHeader, "not a save image of libvirt", at: start, expected: "LibvirtQemudSave")
    }
    isWhole = magic == "LibvirtQemudSave"
    var cursor = ByteCursor(header.span)
    _ = try cursor.take(16)
    let fields = [
      try cursor.readLittleEndian(UInt32.self), try cursor.readLittleEndian(UInt32.self),
      try cursor.readLittleEndian(UInt32.self), try cursor.readLittleEndian(UInt32.self),
    ]
    // A version is a small number, and is large when its bytes are read in the wrong order.
    let isLittle = fields[0] <= fields[0].byteSwapped
    let values = isLittle ? fields : fields.map(\.byteSwapped)
    guard 1...2 ~= values[0] else {
      throw MigrationError(
        .imageHeader, "version of the image is not read", at: start &+ 16, expected: "1 or 2",
        got: "\(values[0])")
    }
    version = values[0]
    descriptionSize = values[1]
    wasRunning = values[2] != 0
    guard let format = Format(rawValue: values[3]) else {
      throw MigrationError(
        .imageFormat, "image is packed in an unknown way", at: start &+ 28, got: "\(values[3])")
    }
    if let layer, let inner = format.packing {
      throw layer.refusal(of: inner, at: start &+ 28)
    }
    self.format = format
    if descriptionSize <= Self.domainLimit {
      domain = Array(try input.readArray(Int(descriptionSize)).prefix { $0 != 0 })
    } else {
      try input.skip(UInt64(descriptionSize))
    }
  }

  /// The name of the domain: the content of the first element `name` in its description, which
  /// libvirt writes before all other elements. Nil when there is none.
  package var domainName: String? {
    guard let domain,
      let start = domain.firstRange(of: Array("<name>".utf8))?.upperBound,
      let end = domain[start...].firstIndex(of: UInt8(ascii: "<")),
      let name = String(streamSafe: domain[start..<end])
    else { return nil }
    return [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
      .reduce(name) { $0.replacing($1.0, with: $1.1) }
  }

  /// The stream in the image.
  /// - Parameter input: positioned after the description.
  /// - Returns: `input` itself unless the stream is packed. The offsets of an unpacked stream are
  ///   counted from 0.
  /// - Throws: `INTERNAL` when a library cannot be set up.
  package func stream(in input: StreamInput) throws(MigrationError) -> StreamInput {
    guard let packing = format.packing else { return input }
    return try packing.content(of: input)
  }

  /// Whether the stream is packed.
  package var isPacked: Bool { format.packing != nil }
}
