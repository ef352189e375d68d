internal import QEMUStream

/// How the state of a device lies on the wire: fields in order, then subsections.
///
/// Either side has it in its own words. A stream's VM description says what was written: types, sizes
/// and counts. A dump says what a QEMU knows (`VMStateDescription`): versions and what is conditional;
/// its sizes are those of memory, and of what is read by code of its own it has none.
package struct StateLayout: Equatable, Sendable {
  /// One field, all of its elements together.
  package struct Field: Equatable, Sendable {
    /// Of several with one name, the second is called `NAME[1]`, as QEMU's writer calls it.
    var name: String
    /// QEMU's name of the wire form; a dump has none.
    var type: String?
    /// Bytes of one element; 0 where a dump does not say.
    var size: UInt64
    /// Elements; nil where a dump does not say.
    var count: UInt64?
    /// Bytes on the wire, as far as is said; nil where nothing tells.
    var bytes: UInt64?
    /// What is in it: of a stream one layout for each element, or one for all that are alike; of a dump
    /// at most one.
    var layouts: [StateLayout] = []
    /// Version of the description from which on it is there. Of a stream 0.
    var since: UInt32 = 0
    /// Whether code decides if it is there, which a dump does not show.
    var isConditional = false
  }

  /// Name of the description, not of the device type: `e1000`, `PCIDevice`.
  package var name: String
  package var version: UInt32
  /// Oldest version that is read; nil of a stream.
  var minimumVersion: UInt32?
  var fields: [Field]
  var subsections: [StateLayout]
  /// What a dump ought to have and lacks: only files that somebody has edited do.
  var hasFields = true
  var hasSubsections = true
}

extension StateLayout {
  /// What a stream's description says of a section, or of a part of one.
  init(_ body: VMDescription.Body) {
    name = body.name ?? ""
    version = body.version ?? 0
    fields = []
    subsections = body.subsections.map { StateLayout($0) }
    for field in body.fields {
      let part = Field(field)
      // QEMU describes the elements of some arrays one by one, or in runs of equal ones.
      if let last = fields.indices.last, fields[last].name == part.name {
        fields[last].join(part)
      } else {
        fields.append(part)
      }
    }
  }
}

extension StateLayout.Field {
  fileprivate init(_ field: VMDescription.Field) {
    name = field.name
    type = field.type
    size = field.size
    count = field.count
    let (product, overflow) = field.size.multipliedReportingOverflow(by: field.count)
    bytes = overflow ? nil : product
    layouts = field.bodies.map { StateLayout($0) }
  }

  fileprivate mutating func join(_ other: Self) {
    // Holes of an array of pointers are bytes of their own.
    if type == "nullptr" { (type, size) = (other.type, other.size) }
    count = Self.sum(count, other.count)
    bytes = Self.sum(bytes, other.bytes)
    layouts += other.layouts
  }

  static func sum(_ one: UInt64?, _ other: UInt64?) -> UInt64? {
    guard let one, let other else { return nil }
    let (sum, overflow) = one.addingReportingOverflow(other)
    return overflow ? nil : sum
  }

  /// Bytes of all of them; nil where one does not tell.
  static func bytes(of fields: some Sequence<Self>) -> UInt64? {
    fields.reduce(0) { sum($0, $1.bytes) }
  }

  /// Whether it is no more than room that was left free.
  var isUnused: Bool { name == "unused" || name.hasPrefix("unused[") }
}
