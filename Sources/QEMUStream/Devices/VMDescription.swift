internal import JSON

/// What the JSON at the end of a stream says about each device section: names, types and sizes of
/// its fields, in wire order (QEMU `migration/vmstate.c`).
///
/// The stream's own walkers need it, so it is written with every stream, and lets a reader find
/// the end of a body without knowing the device.
package struct VMDescription: Equatable, Sendable {
  /// Longest text read or written: 16 MiB. Peers look for it in the last 10 MiB of a file.
  package static let sizeLimit = 16 << 20

  /// The configuration section's description; absent before QEMU 10.0.
  package var configuration: Body?
  /// Bytes.
  package var pageSize: UInt64?
  /// Sections in stream order, early ones included. Of QEMU's own, only full ones.
  package var devices: [Device]

  package init(configuration: Body? = nil, pageSize: UInt64? = 4096, devices: [Device] = []) {
    self.configuration = configuration
    self.pageSize = pageSize
    self.devices = devices
  }

  /// One section. A hand-coded device has one field of raw bytes and no `body.name`.
  package struct Device: Equatable, Sendable {
    /// The section's idstr.
    package var name: String
    package var instance: UInt32
    package var body: Body
    /// False of a body that nothing can be taken from: as if the section were not described. QEMU before
    /// 10 describes s390x's `s390_css` so, an array of pointers with holes in it.
    package var isReadable = true

    /// - Parameter name: as in the section's header.
    package init(name: String, instance: UInt32 = 0, body: Body) {
      self.name = name
      self.instance = instance
      self.body = body
    }
  }

  /// Fields, then subsections, as they follow each other on the wire.
  package struct Body: Equatable, Sendable {
    /// `vmsd_name`; nil for hand-coded devices, which have no version either.
    package var name: String?
    package var version: UInt32?
    package var fields: [Field]
    package var subsections: [Body]

    package init(
      _ name: String?, version: UInt32?, fields: [Field], subsections: [Body] = []
    ) {
      self.name = name
      self.version = version
      self.fields = fields
      self.subsections = subsections
    }
  }

  /// One field, or a run of equal ones.
  package struct Field: Equatable, Sendable {
    package enum Run: Equatable, Sendable {
      case one
      /// `array_len`: so many elements of this size follow each other.
      case array(UInt64)
      /// `index`: one element of an array whose elements are described one by one.
      case element(UInt64)
    }

    package var name: String
    /// QEMU's name of the wire form: `uint32`, `buffer`, `struct`, ...
    package var type: String
    package var run: Run
    /// Bytes of one element.
    package var size: UInt64
    /// One description under `struct`, or beside the keys for `vstruct` and `tmp`; for lists
    /// (`qtailq`, `qlist`, `gtree`) one beside the keys for each element.
    package var bodies: [Body]
    /// The first of them.
    package var body: Body? { bodies.first }
    /// Whether the body stands under the key `struct`.
    var isNested: Bool { type == "struct" }

    package init(
      _ name: String, type: String, size: UInt64, run: Run = .one, body: Body? = nil
    ) {
      self.name = name
      self.type = type
      self.size = size
      self.run = run
      bodies = [body].compactMap { $0 }
    }

    /// Elements that follow each other.
    package var count: UInt64 { if case .array(let count) = run { count } else { 1 } }
  }
}
