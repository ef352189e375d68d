package import Errors
internal import Wire

/// First byte of every record after the file header (QEMU `migration/savevm.h`).
package enum RecordType: UInt8, Sendable, CaseIterable {
  case eof = 0x00
  case sectionStart = 0x01
  case sectionPart = 0x02
  case sectionEnd = 0x03
  case sectionFull = 0x04
  /// Occurs only inside a section's body.
  case subsection = 0x05
  case vmdescription = 0x06
  case configuration = 0x07
  case command = 0x08
  case footer = 0x7E
}

/// The bytes before the body of a section.
///
///     offset  size  field
///          0     1  type         01 start, 02 part, 03 end, 04 full
///          1     4  id           big-endian
///     and for start and full only:
///          5   1+n  name         length byte, then the name
///        6+n     4  instance     big-endian
///       10+n     4  version      big-endian
///
/// A part or end takes name, instance and version from the start of the same id.
package struct SectionHeader: Equatable, Sendable {
  /// The type byte. A start is followed by parts and an end; a full section stands alone.
  package enum Kind: UInt8, Sendable {
    case start = 1
    case part = 2
    case end = 3
    case full = 4
  }

  package var kind: Kind
  /// Identifies the section within the stream; it has no meaning outside it.
  package var id: UInt32
  package var name: SectionName
  /// Distinguishes sections with the same name.
  package var instance: UInt32
  /// Version of the body's layout.
  package var version: UInt32
  /// Stream offset of the type byte.
  package var offset: UInt64
  /// Number of earlier sections of the same name and instance and of the same form, full or in
  /// parts. Some devices of QEMU share a name (two `slirp`, two `isa-ide`), and only their order
  /// distinguishes them. Always 0 in streams of this project.
  package var repetition = 0

  package init(
    _ kind: Kind, id: UInt32, name: SectionName, instance: UInt32 = 0, version: UInt32,
    offset: UInt64 = 0
  ) {
    self.kind = kind
    self.id = id
    self.name = name
    self.instance = instance
    self.version = version
    self.offset = offset
  }
}

/// The name of a section, as also used in the VM description.
package struct SectionKey: Hashable, Sendable {
  package var name: SectionName
  package var instance: UInt32

  package init(name: SectionName, instance: UInt32) {
    self.name = name
    self.instance = instance
  }
}

extension SectionHeader {
  package var key: SectionKey { SectionKey(name: name, instance: instance) }
}

/// The sections a stream has opened so far, by id.
package struct SectionTable: Sendable {
  /// Most sections that a stream may open: eight for each of 4096 vCPUs. Real machines have about a hundred.
  package static let defaultLimit = 32768

  private struct Entry {
    var header: SectionHeader
    var takesParts: Bool
  }

  /// Number of sections with one name and instance.
  private struct Count {
    var full = 0
    var inParts = 0
  }

  private let limit: Int
  private let allowsRepetition: Bool
  private var entries: [UInt32: Entry] = [:]
  private var counts: [SectionKey: Count] = [:]
  private var opened = 0
  /// The first section whose name and instance occur again under another id.
  package private(set) var repeated: SectionHeader?
  /// The section that was looked up last: parts of one section follow each other.
  private var recent: Entry?

  /// - Parameter allowsRepetition: whether sections may share a name and instance, and a section in
  ///   parts and a full section of the same name may share an id, as in streams of QEMU.
  package init(limit: Int = SectionTable.defaultLimit, allowsRepetition: Bool = false) {
    (self.limit, self.allowsRepetition) = (limit, allowsRepetition)
  }

  /// The start or full header of `id`.
  package subscript(id: UInt32) -> SectionHeader? { entries[id]?.header }

  /// Whether no section has been opened.
  var isEmpty: Bool { counts.isEmpty }

  /// Whether a section of this name and instance has been opened.
  package func contains(_ name: SectionName, instance: UInt32 = 0) -> Bool {
    counts[SectionKey(name: name, instance: instance)] != nil
  }

  /// Enters a start or full header, and sets its repetition.
  /// - Throws: `SECTION-ID` when the id belongs to another section or the limit is passed;
  ///   `SECTION-INSTANCE` when the same section has been opened before and repetition is not
  ///   allowed.
  package mutating func open(_ header: inout SectionHeader) throws(MigrationError) {
    let known = entries[header.id]?.header
    guard known == nil || allowsRepetition && known?.key == header.key else {
      throw MigrationError(
        .sectionID, "section id is used twice", in: .section(header.name),
        at: header.offset &+ 1, expected: "an id not used before", got: "\(header.id)")
    }
    guard opened < limit else {
      throw MigrationError(
        .sectionID, "too many sections", at: header.offset, expected: "at most \(limit)")
    }
    let before = counts[header.key]
    guard before == nil || allowsRepetition else {
      throw MigrationError(
        .sectionInstance, "section is repeated", in: .section(header.name),
        at: header.offset, got: "instance \(header.instance)")
    }
    if before != nil, known == nil, repeated == nil { repeated = header }
    opened += 1
    if header.kind == .full {
      header.repetition = before?.full ?? 0
      counts[header.key, default: Count()].full += 1
    } else {
      header.repetition = before?.inParts ?? 0
      counts[header.key, default: Count()].inParts += 1
    }
    if recent?.header.id == header.id { recent = nil }
    entries[header.id] = Entry(header: header, takesParts: header.kind == .start)
  }

  /// The header of a part or end: the header of the section's start, with this kind and offset.
  /// - Throws: `SECTION-ID` when no start has this id; `SECTION-ORDER` when the section has ended
  ///   or is a full section.
  package mutating func `continue`(
    _ kind: SectionHeader.Kind, id: UInt32, at offset: UInt64
  ) throws(MigrationError) -> SectionHeader {
    if recent?.header.id != id { recent = entries[id] }
    guard var header = recent?.header, recent?.takesParts == true else {
      guard let entry = entries[id] else {
        throw MigrationError(
          .sectionID, "part of a section that was not started", at: offset &+ 1, got: "id \(id)")
      }
      throw MigrationError(
        .sectionOrder, "part of a section that is closed",
        in: .section(entry.header.name), at: offset)
    }
    if kind == .end {
      entries[id]?.takesParts = false
      recent = nil
    }
    header.kind = kind
    header.offset = offset
    return header
  }
}
