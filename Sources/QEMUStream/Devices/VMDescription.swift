internal import JSON

/// The VM description: the JSON at the end of a stream, which names the types and sizes of the
/// fields of each device section in wire order (QEMU `migration/vmstate.c`).
///
/// It is written with every stream, and enables a reader to find the end of a body without knowing
/// the device.
package struct VMDescription: Equatable, Sendable {
  /// Longest text that is read or written: 16 MiB. Other programs search for it in the last 10 MiB
  /// of a file.
  package static let sizeLimit = 16 << 20

  /// Description of the configuration section; absent before QEMU 10.0.
  package var configuration: Body?
  /// Page size of the target in bytes.
  package var pageSize: UInt64?
  /// Sections in stream order, early ones included. QEMU describes full sections only.
  package var devices: [Device]

  package init(configuration: Body? = nil, pageSize: UInt64? = 4096, devices: [Device] = []) {
    self.configuration = configuration
    self.pageSize = pageSize
    self.devices = devices
  }

  /// One section. A device with hand-written save code has one field of raw bytes and no
  /// `body.name`.
  package struct Device: Equatable, Sendable {
    /// The section's idstr.
    package var name: String
    package var instance: UInt32
    package var body: Body
    /// Whether the section can be decoded. If not, the reader treats it as undescribed. QEMU before
    /// 10 describes `s390_css` of s390x in an unreadable way, as an array of pointers with gaps.
    package var isReadable = true

    /// - Parameter name: the name in the section's header.
    package init(name: String, instance: UInt32 = 0, body: Body) {
      self.name = name
      self.instance = instance
      self.body = body
    }
  }

  /// Fields, then subsections, in wire order.
  package struct Body: Equatable, Sendable {
    /// `vmsd_name`; nil for devices with hand-written save code, which have no version either.
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

  /// One field, or a run of equal fields.
  package struct Field: Equatable, Sendable {
    package enum Run: Equatable, Sendable {
      case one
      /// `array_len`: the number of consecutive elements of this size.
      case array(UInt64)
      /// `index`: one element of an array whose elements are described one by one.
      case element(UInt64)
    }

    package var name: String
    /// Name that QEMU gives the wire form: `uint32`, `buffer`, `struct`, ...
    package var type: String
    package var run: Run
    /// Size of one element in bytes.
    package var size: UInt64
    /// One description, under the key `struct` or, for `vstruct` and `tmp`, among the keys of the
    /// field. Lists (`qtailq`, `qlist`, `gtree`) have one description for each element among the
    /// keys.
    package var bodies: [Body]
    /// The first of the descriptions.
    package var body: Body? { bodies.first }
    /// Whether the description is under the key `struct`.
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

    /// Number of consecutive elements.
    package var count: UInt64 { if case .array(let count) = run { count } else { 1 } }
  }
}
