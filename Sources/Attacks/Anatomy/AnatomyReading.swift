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
      if let section = reader.section { builder.enter(section, record) }
      isRead = try builder.take(
        record, payload: reader.payloadOffset, size: reader.payload.count, read: reader.offset)
    }
    for block in reader.guestBlocks { builder.anatomy.blocks.append((block.name, block.size)) }
    self = builder.anatomy
  }

  /// Indexes a stream in memory.
  package init(of bytes: [UInt8]) throws(MigrationError) {
    try self.init(StreamInput(ArraySource(bytes)))
  }
}

/// Builds an anatomy from what a reader returns.
private struct AnatomyBuilder {
  var anatomy = Anatomy()
  private var counts: [Anatomy.Kind: Int] = [:]
  /// The part whose end is not known yet.
  private var open: Anatomy.Part?
  /// Offset at which the next record of shared memory begins.
  private var ramNext: UInt64 = 0
  private var sealStart: UInt64 = 0

  /// Notes that a record is in the section of `header`, which may be a new section.
  mutating func enter(_ header: SectionHeader, _ record: SNPStreamReader.Record) {
    guard header.offset != open?.start, let kind = Self.kind(header, record) else { return }
    var size = UInt64(StreamGrammar.PartHeader.size)
    if !kind.hasShortHeader {
      // The length byte of the name, the name, and the fields after it.
      size += UInt64(1 + header.name.bytes.count + Anatomy.HeaderEnd.size)
    }
    begin(kind, at: header.offset, body: header.offset + size)
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
    _ record: SNPStreamReader.Record, payload: UInt64, size: Int, read: UInt64
  ) throws(MigrationError) -> Bool {
    switch record {
    case .configuration:
      begin(.file, at: 0, body: 0)
      let start = UInt64(StreamGrammar.Header.size)
      begin(.configuration, at: start, body: start)
    case .guestMap(let map): anatomy.map = map
    case .pages(let count):
      guard var first = open else { break }
      first.end = first.start + UInt64(SNPStreamReader.pageStride)
      first.count = count
      anatomy.append(first)
      counts[.page] = first.first + count
      open = nil
    case .ram(let record): note(record, payload: payload)
    case .eof:
      begin(.eof, at: read - 1, body: read - 1)
      sealStart = read
    case .seal(let seal):
      begin(.seal, at: sealStart, body: sealStart)
      anatomy.leafCount = Int(seal.chunkCount)
    case .vmdescription:
      let start = payload - UInt64(StreamGrammar.TextHeader.size)
      begin(.description, at: start, body: start)
      open?.end = payload + UInt64(size)
    case .end:
      close(at: read)
      anatomy.size = read
      return true
    case .session, .token, .machine, .device, .final, .commit, .skipped: break
    }
    return false
  }

  private mutating func begin(_ kind: Anatomy.Kind, at start: UInt64, body: UInt64) {
    close(at: start)
    let index = counts[kind, default: 0]
    counts[kind] = index + 1
    open = Anatomy.Part(
      kind: kind, first: index, count: 1, start: start, body: body, end: 0)
  }

  private mutating func close(at end: UInt64) {
    guard var part = open else { return }
    part.end = end
    anatomy.append(part)
    open = nil
  }

  private mutating func note(_ record: RAMRecord, payload: UInt64) {
    guard record.page != nil else { return }
    let isZero = record.payloadSize(page: Page.size) == 0
    let end = payload + UInt64(record.payloadSize(page: Page.size))
    let size = end - ramNext
    let run = Anatomy.RAMRun(
      first: anatomy.ramRecords, count: 1, start: ramNext, size: size,
      nameSize: size - Anatomy.RAMRun.wordSize
        - (isZero ? 1 : UInt64(record.payloadSize(page: Page.size))),
      isZero: isZero)
    ramNext = end
    if let last = anatomy.ramRuns.last, last.isZero == isZero, last.size == size,
      last.nameSize == run.nameSize, last.start + last.size * UInt64(last.count) == run.start
    {
      anatomy.ramRuns[anatomy.ramRuns.count - 1].count += 1
    } else {
      anatomy.ramRuns.append(run)
    }
  }
}
