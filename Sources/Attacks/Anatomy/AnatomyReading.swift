package import Errors
internal import Guest
internal import Migration
package import QEMUStream
internal import SVSM
internal import Wire

extension Anatomy {
  /// Indexes a valid SNP stream.
  /// - Parameter input: the stream, at its first byte, which must have offset 0.
  /// - Throws: what `SNPStreamReader` refuses, because attacks are made from valid streams only.
  package init(_ input: StreamInput) throws(MigrationError) {
    var builder = AnatomyBuilder()
    var reader = SNPStreamReader(input, checkingSealWith: nil)
    var isRead = false
    while !isRead {
      let record = try reader.next()
      if let section = reader.section { try builder.enter(section, record) }
      isRead = try builder.take(
        record, payload: reader.payloadOffset, read: reader.offset)
    }
    self = try builder.finish(blocks: reader.guestBlocks.map { ($0.name, $0.size) })
  }

  /// Indexes a stream in memory.
  package init(of bytes: [UInt8]) throws(MigrationError) {
    try self.init(StreamInput(ArraySource(bytes)))
  }
}

/// Builds an anatomy from what a reader returns.
private struct AnatomyBuilder {
  /// A part whose end is not known yet.
  private struct OpenPart {
    var kind: Anatomy.Kind
    var start: UInt64
    var body: UInt64
  }

  private var parts = RunIndex.Builder(kinds: Anatomy.Kind.allCases.count)
  private var records = RunIndex.Builder(kinds: Anatomy.SharedRecord.kinds)
  private var map = GuestMap()
  private var leafCount = 0
  private var size: UInt64 = 0
  private var open: OpenPart?
  /// Offset at which the next record of shared memory begins.
  private var ramNext: UInt64 = 0
  private var sealStart: UInt64 = 0

  /// Notes that a record is in the section of `header`, which may be a new section.
  mutating func enter(
    _ header: SectionHeader, _ record: SNPStreamReader.Record
  ) throws(MigrationError) {
    guard header.offset != open?.start, let kind = Self.kind(header, record) else { return }
    var size = UInt64(StreamGrammar.PartHeader.size)
    if !kind.hasShortHeader {
      // The length byte of the name, the name, and the fields after it.
      size += UInt64(1 + header.name.bytes.count + Anatomy.HeaderEnd.size)
    }
    try begin(kind, at: header.offset, body: header.offset + size)
    if kind == .ramPart { ramNext = header.offset + size }
  }

  private static func kind(
    _ header: SectionHeader, _ record: SNPStreamReader.Record
  ) -> Anatomy.Kind? {
    if case .device = record { return .device }
    guard let section = SNPSection(header.name) else { return .optional }
    return switch (section, header.kind) {
    case (.session, _): .session
    case (.ram, .start): .ramStart
    case (.ram, .end): .ramEnd
    case (.ram, _): .ramPart
    case (.guestMap, _): .map
    case (.pages, .start): .pagesStart
    case (.pages, .end): .pagesEnd
    case (.pages, _): .page
    case (.epochs, .start): .epochsStart
    case (.epochs, .end): .epochsEnd
    case (.epochs, _): .token
    case (.machine, _): .machine
    case (.final(let kind), _): .final(kind)
    case (.commit, _): .commit
    }
  }

  /// Takes a record.
  /// - Returns: whether it was the end of the stream.
  mutating func take(
    _ record: SNPStreamReader.Record, payload: UInt64, read: UInt64
  ) throws(MigrationError) -> Bool {
    switch record {
    case .configuration:
      try begin(.file, at: 0, body: 0)
      let start = UInt64(StreamGrammar.Header.size)
      try begin(.configuration, at: start, body: start)
    case .guestMap(let map): self.map = map
    case .pages(let count):
      guard let first = open else { break }
      try parts.append(
        first.kind.code, at: first.start, head: first.body - first.start,
        size: UInt64(SNPStreamReader.pageStride), count: count)
      open = nil
    case .ram(let record): try note(record, payload: payload)
    case .eof:
      try begin(.eof, at: read - 1, body: read - 1)
      sealStart = read
    case .seal(let seal):
      try begin(.seal, at: sealStart, body: sealStart)
      leafCount = Int(seal.chunkCount)
    case .vmdescription:
      let start = payload - UInt64(StreamGrammar.TextHeader.size)
      try begin(.description, at: start, body: start)
    case .end:
      try close(at: read)
      self.size = read
      return true
    case .session, .token, .machine, .device, .final, .commit, .skipped: break
    }
    return false
  }

  /// The anatomy of what was taken.
  mutating func finish(
    blocks: [(name: String, size: UInt64)]
  ) throws(MigrationError) -> Anatomy {
    Anatomy(
      try parts.finish(), records: try records.finish(), size: size, leafCount: leafCount,
      blocks: blocks, map: map)
  }

  private mutating func begin(
    _ kind: Anatomy.Kind, at start: UInt64, body: UInt64
  ) throws(MigrationError) {
    try close(at: start)
    open = OpenPart(kind: kind, start: start, body: body)
  }

  private mutating func close(at end: UInt64) throws(MigrationError) {
    guard let part = open else { return }
    try parts.append(
      part.kind.code, at: part.start, head: part.body - part.start, size: end - part.start)
    open = nil
  }

  private mutating func note(_ record: RAMRecord, payload: UInt64) throws(MigrationError) {
    guard record.page != nil else { return }
    let isZero = record.payloadSize(page: Page.size) == 0
    let content = isZero ? 1 : UInt64(record.payloadSize(page: Page.size))
    let end = payload + UInt64(record.payloadSize(page: Page.size))
    let size = end - ramNext
    let kind = isZero ? Anatomy.SharedRecord.zero : Anatomy.SharedRecord.content
    try records.append(
      kind, at: ramNext, head: size - Anatomy.SharedRecord.wordSize - content, size: size)
    ramNext = end
  }
}
