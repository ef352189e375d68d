internal import Errors
internal import FileIO
internal import Inspection
internal import JSON
internal import QEMUStream
internal import Wire

/// Sections of devices with their bodies, and the descriptions by which they can be read.
///
/// Bodies and descriptions are in a file without a name and are read one by one, since those of two sides would
/// take more memory than all else.
struct MachineDevices {
  struct Key: Hashable {
    var name: SectionName
    var instance: UInt32
    var repetition: Int

    init(_ header: SectionHeader) {
      (name, instance, repetition) = (header.name, header.instance, header.repetition)
    }

    /// "hpet", "cpu 1": the instance only where it is not 0.
    var shown: String {
      let numbered = instance == 0 ? "\(name)" : "\(name) \(instance)"
      return repetition == 0 ? numbered : "\(numbered) (again, \(repetition))"
    }
  }

  /// Most fields and structures of a description, and its longest text in bytes; a section that has more is not
  /// described here.
  private static let partLimit = 1 << 14
  private static let textLimit = 2 << 20
  /// Most elements of a section that is read: the values of two are in memory at once.
  private static let elementLimit = 1 << 16

  /// Where a body and the text of its description are in the file.
  private struct Place {
    /// Of the body; its description follows.
    let start: UInt64
    let size: Int
    /// Bytes of the description; 0 without one.
    let described: Int
    /// Stream offset of the body.
    let offset: UInt64
  }

  /// Nil without bodies.
  private let file: TemporaryFile?
  private var places: [Place] = []
  private var indices: [Key: Int] = [:]
  private(set) var keys: [Key] = []
  /// Number of bodies that were not kept.
  let omitted: Int
  /// Bytes of all bodies.
  private let size: Int

  init() { (file, omitted, size) = (nil, 0, 0) }

  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  init(_ bodies: KeptBodies, by description: VMDescription?) throws(MigrationError) {
    (omitted, size) = (bodies.omitted, bodies.size)
    guard !bodies.entries.isEmpty else {
      file = nil
      return
    }
    let file = try TemporaryFile(size: 0)
    self.file = file
    let described = description.map(DescribedSections.init)
    var end: UInt64 = 0
    for entry in bodies.entries where !entry.header.name.bytes.starts(with: "snp-".utf8) {
      let key = Key(entry.header)
      guard indices[key] == nil else { continue }
      let text = described?[entry.header].map(Self.text) ?? []
      try file.write(entry.body.span, at: end)
      try file.write(text.span, at: end + UInt64(entry.body.count))
      indices[key] = places.count
      keys.append(key)
      places.append(
        Place(
          start: end, size: entry.body.count, described: text.count, offset: entry.offset))
      end += UInt64(entry.body.count + text.count)
    }
  }

  /// The text by which a section can be read, in the form of a whole description; empty beyond a limit.
  private static func text(_ device: VMDescription.Device) -> [UInt8] {
    // Before the text is made: it has each name, and takes far more memory until it is whole.
    let parts = device.body.parts
    guard parts.count <= partLimit, parts.textSize <= textLimit else { return [] }
    let text = VMDescription(devices: [device]).json.compact
    return text.count <= textLimit ? text : []
  }

  /// - Returns: nil where there is no such section.
  func body(_ key: Key) throws(MigrationError) -> [UInt8]? {
    guard let place = indices[key].map({ places[$0] }) else { return nil }
    return try read(at: place.start, place.size)
  }

  /// The text of the description of one section; nil without one.
  func description(_ key: Key) throws(MigrationError) -> [UInt8]? {
    guard let place = indices[key].map({ places[$0] }), place.described > 0 else { return nil }
    return try read(at: place.start + UInt64(place.size), place.described)
  }

  private func read(at start: UInt64, _ count: Int) throws(MigrationError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try file?.read(at: start, into: &span)
    return bytes
  }

  /// The limit for all bodies that are read together.
  var budget: ElementBudget { ElementBudget(bytes: size, perSection: Self.elementLimit) }

  /// The values of one body; nil where they cannot be read.
  /// - Throws: `IO-READ`.
  func values(_ key: Key, _ budget: inout ElementBudget) throws(MigrationError) -> JSON? {
    guard let index = indices[key], let body = try body(key), let text = try description(key),
      let device = (try? VMDescription(parsing: text))?.devices.first
    else { return nil }
    return try? device.body.decode(body.span, at: places[index].offset, &budget)
  }
}

extension VMDescription.Body {
  /// Number of structures, this one too, and of their fields; and the bytes of their names.
  fileprivate var parts: (count: Int, textSize: Int) {
    var (count, textSize) = (1 + fields.count, name?.utf8.count ?? 0)
    func add(_ body: VMDescription.Body) {
      let parts = body.parts
      count += parts.count
      textSize += parts.textSize
    }
    for field in fields {
      textSize += field.name.utf8.count + field.type.utf8.count
      field.bodies.forEach(add)
    }
    subsections.forEach(add)
    return (count, textSize)
  }
}
