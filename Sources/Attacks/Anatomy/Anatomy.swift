internal import Guest
internal import QEMUStream
package import SVSM
internal import Wire

/// An index of the records of a valid SNP stream, made in one pass: it tells where everything is.
///
/// It holds no content. Private pages and records of shared memory are stored as runs, so the index
/// grows with the fragmentation of the guest's memory and not with its size.
package struct Anatomy: Sendable {
  /// The kind of a part of a stream.
  package enum Kind: Hashable, Sendable, CaseIterable {
    case file, configuration, session, map, machine, device
    case final(FinalRecord.Kind)
    case commit
    case ramStart, ramPart, ramEnd
    case pagesStart, page, pagesEnd
    case epochsStart, token, epochsEnd
    case optional, eof, seal, description
    /// A whole offer or instance file: such a file has only this one part.
    case offer, instance

    /// The names of kinds in places ("page[3]").
    private static let names: KeyValuePairs<Kind, String> = [
      .file: "file", .configuration: "configuration", .session: "session", .map: "map",
      .machine: "machine", .device: "device", .commit: "commit", .ramStart: "ram.start",
      .ramPart: "ram.part", .ramEnd: "ram.end", .pagesStart: "pages.start", .page: "page",
      .pagesEnd: "pages.end", .epochsStart: "epochs.start", .token: "token",
      .epochsEnd: "epochs.end", .optional: "optional", .eof: "eof", .seal: "seal",
      .description: "description", .offer: "offer", .instance: "instance",
    ]
    private static let named: [String: Kind] = Dictionary(
      uniqueKeysWithValues: names.map { ($0.value, $0.key) }
        + FinalRecord.Kind.allCases.map { ($0.row.placeName, .final($0)) })

    package static var allCases: [Kind] { Array(named.values) }

    /// The kind with this name in a place; nil when there is none.
    init?(name: String) {
      guard let kind = Self.named[name] else { return nil }
      self = kind
    }

    /// Whether `word` is the first word of the name of a kind.
    static func begins(with word: String) -> Bool {
      named.keys.contains { $0.split(separator: ".")[0] == word }
    }

    /// Whether it is a section, which has a header before its body and a footer after it.
    package var isSection: Bool {
      switch self {
      case .file, .configuration, .eof, .seal, .description, .offer, .instance: false
      default: true
      }
    }

    /// Whether its header consists of type and id only.
    var hasShortHeader: Bool {
      switch self {
      case .ramPart, .ramEnd, .page, .pagesEnd, .token, .epochsEnd: true
      default: false
      }
    }
  }

  /// One part of the stream, from its first byte to the end of its footer; or several consecutive
  /// pages, each beginning `end - start` bytes after the previous one.
  package struct Part: Sendable, Hashable {
    package var kind: Kind
    /// Number of the first one among those of its kind, from 0.
    package var first: Int
    /// More than one only for pages.
    package var count: Int
    /// Offset of the first byte: the type byte of a section.
    package var start: UInt64
    /// Offset of the body.
    package var body: UInt64
    /// Offset of the first byte after the footer.
    package var end: UInt64

    /// Size of one part in bytes.
    package var size: UInt64 { end - start }
    /// Offset of the first byte after the last part of the run.
    package var runEnd: UInt64 { start + size * UInt64(count) }
    /// Size of the body in bytes.
    package var bodySize: UInt64 { end - body - (kind.isSection ? Self.footerSize : 0) }
    static let footerSize = UInt64(StreamGrammar.Footer.size)

    /// The part with number `index` from the run.
    func alone(_ index: Int) -> Part {
      let shift = size * UInt64(index - first)
      return Part(
        kind: kind, first: index, count: 1, start: start + shift, body: body + shift,
        end: end + shift)
    }
  }

  /// The end of the header of a section that starts: the fields after the name.
  struct HeaderEnd: WireRecord {
    var instance: BE32
    var version: BE32
  }

  /// Consecutive records of shared memory that are equal in kind and size.
  struct RAMRun: Sendable {
    var first: Int
    var count: Int
    var start: UInt64
    /// Size of one record in bytes.
    var size: UInt64
    /// Size in bytes of the block's name with its length byte; 0 when the record continues the
    /// previous block.
    var nameSize: UInt64
    var isZero: Bool

    /// Size in bytes of the address with its flags, which is first in a record.
    static let wordSize = UInt64(MemoryLayout<UInt64>.size)
  }

  /// The parts, in stream order and without gaps.
  package internal(set) var parts: [Part] = []
  var ramRuns: [RAMRun] = []
  /// Length of the stream in bytes.
  package internal(set) var size: UInt64 = 0
  /// Number of leaves of the seal.
  var leafCount: Int = 0
  /// Name and size of each RAM block. `map` tells where the blocks are mapped.
  var blocks: [(name: String, size: UInt64)] = []
  var map = GuestMap()
  /// Indices in `parts` of the parts of each kind.
  private var places: [Kind: [Int]] = [:]

  init() {}

  /// An offer or an instance file of `size` bytes.
  init(_ kind: Kind, size: UInt64) {
    self.size = size
    append(Part(kind: kind, first: 0, count: 1, start: 0, body: 0, end: size))
  }

  /// A file of which only the size is known.
  init(plainSize size: UInt64) { self.size = size }

  /// Number of parts of `kind`.
  package func count(_ kind: Kind) -> Int {
    guard let last = places[kind]?.last else { return 0 }
    return parts[last].first + parts[last].count
  }

  /// Number of records of shared memory.
  package var ramRecords: Int { ramRuns.last.map { $0.first + $0.count } ?? 0 }

  /// The part of `kind` with this number, as a run of one; nil when there is none.
  package func part(_ kind: Kind, _ index: Int = 0) -> Part? {
    guard let places = places[kind], index >= 0, index < count(kind) else { return nil }
    // Search for the last run that begins at or before it.
    var (low, high) = (0, places.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if parts[places[middle]].first <= index { low = middle } else { high = middle }
    }
    return parts[places[low]].alone(index)
  }

  /// The part that holds the byte at `offset`, as a run of one; nil after the end.
  package func part(at offset: UInt64) -> Part? {
    var (low, high) = (0, parts.count)
    guard high > 0, offset < size else { return nil }
    while high - low > 1 {
      let middle = (low + high) / 2
      if parts[middle].start <= offset { low = middle } else { high = middle }
    }
    let part = parts[low]
    guard part.size > 0 else { return part }
    return part.alone(part.first + Int((offset - part.start) / part.size))
  }

  mutating func append(_ part: Part) {
    if let last = parts.last, last.kind == .page, part.kind == .page, last.runEnd == part.start,
      last.size == part.size, last.body - last.start == part.body - part.start
    {
      parts[parts.count - 1].count += part.count
      return
    }
    places[part.kind, default: []].append(parts.count)
    parts.append(part)
  }
}
