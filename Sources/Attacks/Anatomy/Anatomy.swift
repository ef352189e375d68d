package import Errors
internal import Guest
internal import QEMUStream
package import SVSM
internal import Wire

/// An index of the records of a valid SNP stream, made in one pass: it tells where everything is.
///
/// It holds no content. Parts and records of shared memory are stored as runs, in an index that keeps one
/// block in memory, so memory grows neither with the size of the guest nor with its fragmentation.
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

    package static let allCases: [Kind] =
      names.map { $0.key } + FinalRecord.Kind.allCases.map { .final($0) }
    private static let codes: [Kind: Int] = Dictionary(
      uniqueKeysWithValues: zip(allCases, allCases.indices))

    /// Its number in the index of parts.
    var code: Int { Self.codes[self] ?? 0 }

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

  /// One part of the stream, from its first byte to the end of its footer.
  package struct Part: Sendable, Hashable {
    package var kind: Kind
    /// Its number among those of its kind, from 0.
    package var index: Int
    /// Offset of the first byte: the type byte of a section.
    package var start: UInt64
    /// Offset of the body.
    package var body: UInt64
    /// Offset of the first byte after the footer.
    package var end: UInt64

    /// Size in bytes.
    package var size: UInt64 { end - start }
    /// Size of the body in bytes.
    package var bodySize: UInt64 { end - body - (kind.isSection ? Self.footerSize : 0) }
    static let footerSize = UInt64(StreamGrammar.Footer.size)

    /// The part with this number from a run of the index of parts.
    fileprivate init(_ run: IndexedRun, _ number: Int) {
      let run = run.alone(number)
      (kind, index) = (Kind.allCases[run.kind], number)
      (start, body, end) = (run.start, run.start + run.head, run.end)
    }
  }

  /// The end of the header of a section that starts: the fields after the name.
  struct HeaderEnd: WireRecord {
    var instance: BE32
    var version: BE32
  }

  /// A record of shared memory.
  struct SharedRecord {
    /// Number of the kind of records with content, and of that of all others, in the index of records.
    static let (content, zero) = (0, 1)
    static let kinds = 2
    /// Size in bytes of the address with its flags, which is first in a record.
    static let wordSize = UInt64(MemoryLayout<UInt64>.size)

    var start: UInt64
    var end: UInt64
    /// Size in bytes of the block's name with its length byte; 0 when the record continues the
    /// previous block.
    var nameSize: UInt64
    var isZero: Bool
  }

  /// The parts, in stream order and without gaps.
  private let parts: RunIndex
  private let records: RunIndex
  /// Length of the stream in bytes.
  package let size: UInt64
  /// Number of leaves of the seal.
  let leafCount: Int
  /// Name and size of each RAM block. `map` tells where the blocks are mapped.
  let blocks: [(name: String, size: UInt64)]
  let map: GuestMap

  init(
    _ parts: RunIndex, records: RunIndex, size: UInt64, leafCount: Int,
    blocks: [(name: String, size: UInt64)], map: GuestMap
  ) {
    (self.parts, self.records, self.size) = (parts, records, size)
    (self.leafCount, self.blocks, self.map) = (leafCount, blocks, map)
  }

  /// A file of `size` bytes that is one part, an offer or an instance; or, with nil, of which only the
  /// size is known.
  init(whole kind: Kind?, size: UInt64) throws(MigrationError) {
    var parts = RunIndex.Builder(kinds: Kind.allCases.count)
    var records = RunIndex.Builder(kinds: SharedRecord.kinds)
    if let kind { try parts.append(kind.code, at: 0, head: 0, size: size) }
    self.init(
      try parts.finish(), records: try records.finish(), size: size, leafCount: 0, blocks: [],
      map: GuestMap())
  }

  // MARK: Parts

  /// Number of parts of `kind`.
  package func count(_ kind: Kind) -> Int { parts.count(kind.codes) }

  /// The part of `kind` with this number; nil when there is none.
  /// - Throws: `IO-READ`, as all that searches the index.
  package func part(_ kind: Kind, _ number: Int = 0) throws(MigrationError) -> Part? {
    try parts.run(number, of: kind.codes).map { Part($0, number) }
  }

  /// The part that holds the byte at `offset`; nil after the end.
  package func part(at offset: UInt64) throws(MigrationError) -> Part? {
    var reader = PartReader(self)
    return try reader.part(at: offset)
  }

  /// Number of parts of `kind` that lie in `range` with all their bytes.
  func count(_ kind: Kind, in range: Range<UInt64>) throws(MigrationError) -> Int {
    let count =
      try parts.count(kind.codes, before: range.upperBound)
      - parts.count(kind.codes, before: range.lowerBound)
    guard let cut = try part(at: range.upperBound), cut.kind == kind,
      range.contains(cut.start)
    else { return count }
    return count - 1
  }

  /// Calls `body` with each part of some kinds, in the order of the stream or in the reverse order, until
  /// it returns false.
  func visit(
    _ kinds: Set<Kind>, backward: Bool = false,
    _ body: (Part) throws(MigrationError) -> Bool
  ) throws(MigrationError) {
    let isWanted = Kind.allCases.map { kinds.contains($0) }
    for step in 0..<parts.blockCount {
      let runs = try parts.runs(backward ? parts.blockCount - 1 - step : step)
      for index in runs.indices {
        let run = runs[backward ? runs.count - 1 - index : index]
        guard isWanted[run.kind] else { continue }
        for number in 0..<run.count {
          let part = Part(run, run.first + (backward ? run.count - 1 - number : number))
          guard try body(part) else { return }
        }
      }
    }
  }

  /// Finds parts that follow each other, and keeps the block of the index that holds them.
  struct PartReader {
    private let anatomy: Anatomy
    private var runs: [IndexedRun] = []

    init(_ anatomy: Anatomy) { self.anatomy = anatomy }

    /// The part that holds the byte at `offset`; nil after the end.
    mutating func part(at offset: UInt64) throws(MigrationError) -> Part? {
      guard offset < anatomy.size else { return nil }
      let isHere =
        runs.first.map { $0.start <= offset } == true && offset < runs[runs.count - 1].end
      if !isHere { runs = try anatomy.parts.runs(anatomy.parts.block(at: offset)) }
      var (low, high) = (0, runs.count)
      guard high > 0 else { return nil }
      while high - low > 1 {
        let middle = (low + high) / 2
        if runs[middle].start <= offset { low = middle } else { high = middle }
      }
      let run = runs[low]
      return Part(run, run.first + (run.size > 0 ? Int((offset - run.start) / run.size) : 0))
    }
  }

  // MARK: Shared memory

  /// Number of records of shared memory of some kinds.
  func recordCount(_ kinds: Range<Int>) -> Int { records.count(kinds) }

  /// The record of shared memory with this number among those of some kinds; nil when there is none.
  func record(_ number: Int, of kinds: Range<Int>) throws(MigrationError) -> SharedRecord? {
    try records.run(number, of: kinds).map {
      SharedRecord(
        start: $0.start, end: $0.end, nameSize: $0.head, isZero: $0.kind == SharedRecord.zero)
    }
  }
}

extension Anatomy.Kind {
  fileprivate var codes: Range<Int> { code..<code + 1 }
}
