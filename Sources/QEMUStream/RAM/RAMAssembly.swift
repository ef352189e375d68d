package import Errors
internal import PageSets
package import Threads
internal import Wire

/// Restores the RAM of a stream from all of its parts: records of any kind in the main stream,
/// multifd channels, the pages of a mapped-ram file. The last content of a page is the valid one.
///
/// This is the only place where page records become memory. Without a store the pages are counted,
/// and packed pages are unpacked all the same, so that a page that cannot be restored is found
/// either way.
package final class RAMAssembly {
  /// Called for each run of pages with the first page, their number, and whether they are zero.
  package typealias Observer = (RAMPage, _ count: UInt64, _ isZero: Bool) -> Void

  /// How the pages of one block come.
  private struct Arrival {
    var length: UInt64
    /// Ranges of pages, in order, that are not plugged in and therefore not sent.
    var unplugged: [Range<UInt64>] = []
    /// Whether all pages of the block come at once: from mapped-ram, or from a file of their own.
    var isWhole = false
    /// Whether a file of its own has its memory.
    var isSupplied = false
  }

  private let channels: [MultifdChannel]
  private let file: (any PositionedSource)?
  private let supplied: [SuppliedBlock]
  private let observe: Observer
  private var decoder = RAMDecoder()
  private var arrivals: [Arrival] = []
  /// Pages that were sent in any form and not discarded afterwards.
  private var seen = PageSet()
  /// Pages that were written at least once: only these must be cleared when they are sent as zero.
  private var written = PageSet()
  private var writer: PageWriter?
  private let packed = PackedRecords()
  private var plugged = PluggedSections()
  /// The section whose end is not known: the stream cannot be read beyond it.
  package var unreadable: SectionHeader?
  /// Page size of the stream, once the first page has been read.
  package private(set) var page = TargetPage.x86
  private static let zeroPage = [UInt8](repeating: 0, count: TargetPage.largest.size)
  /// Whether the main stream meets the channels at flush records (QEMU 8.1 and later) or at the end
  /// of each body; nil before the first body shows which.
  private var meetsAtFlush: Bool?

  /// - Parameters:
  ///   - channels: multifd channels that accompany the main stream.
  ///   - file: file that holds a mapped-ram stream.
  ///   - supplied: blocks that the stream leaves to other files.
  package init(
    channels: [MultifdChannel] = [], file: (any PositionedSource)? = nil,
    supplied: [SuppliedBlock] = [],
    observe: @escaping Observer = { _, _, _ in }
  ) {
    self.channels = channels
    self.file = file
    self.supplied = supplied
    self.observe = observe
  }

  /// Notes the block list. For a mapped-ram stream it also reads all pages.
  /// - Parameters:
  ///   - decoder: the reader's decoder, which has just read the list.
  ///   - configuration: the configuration of the stream, if it has one.
  ///   - store: the memory, all zero; nil when the memory is not needed.
  ///   - crew: with more than one job, one of its threads writes while the next pages are read.
  /// - Throws: `RAM-LIST` for a second list; `CHANNEL-MACHINE` for channels of different machines;
  ///   `STREAM-TRUNCATED`; `RAM-BLOCK` for supplied memory that the stream does not lack; the errors of
  ///   reading and writing.
  package func begin(
    _ decoder: RAMDecoder, of configuration: Configuration?, into store: (any RAMStore)?,
    crew: WorkCrew = WorkCrew(jobs: 1)
  ) throws(MigrationError) {
    guard arrivals.isEmpty else {
      throw MigrationError(.ramList, "second block list", in: .ram)
    }
    if let uuid = configuration?.uuid ?? channels.first?.uuid {
      for channel in channels { try channel.require(machine: uuid) }
    }
    self.decoder = decoder
    page = decoder.page
    arrivals = decoder.blocks.map { Arrival(length: $0.length) }
    writer = store.map { PageWriter($0, crew: crew) }
    for (index, mapped) in decoder.mapped.enumerated() where !mapped.isAbsent {
      guard let file, mapped.end <= file.size else {
        throw MigrationError(
          .streamTruncated, "stream ends within the pages of a block",
          in: .ram, at: file?.size)
      }
      let pages = MappedPages(of: mapped, block: index, in: file)
      try pages.read(into: writer, observe)
      arrivals[index].isWhole = true
    }
    for block in supplied { try take(block) }
  }

  /// Refuses pages of a block whose memory is a file.
  private func requireNoneOfSupplied() throws(MigrationError) {
    for (index, arrival) in arrivals.enumerated() where arrival.isSupplied {
      guard try seen.first(in: allPages, of: index) == nil else {
        throw MigrationError(
          .ramBlock, "stream has pages of a block whose memory is given as a file", in: .ram,
          got: "\(blocks[index].name)")
      }
    }
  }

  private func take(_ block: SuppliedBlock) throws(MigrationError) {
    guard let index = decoder.index(of: block.name) else {
      throw block.refused("block is not in the list", got: "\(block.name)")
    }
    guard listForm.hasAddresses, !arrivals[index].isWhole else {
      throw block.refused(
        "block is not left to a file of its own", expected: "x-ignore-shared, and each block once",
        got: "\(block.name)")
    }
    guard block.file.size == arrivals[index].length else {
      throw block.refused(
        "file has another size than RAM block \(block.name)",
        expected: "\(arrivals[index].length) bytes", got: "\(block.file.size)")
    }
    (arrivals[index].isWhole, arrivals[index].isSupplied) = (true, true)
    try block.write(as: index, to: writer)
  }

  /// Applies a record.
  /// - Parameters:
  ///   - input: has the record's payload at the front of its window.
  ///   - page: page size of the stream. If only the first page record shows it, it is known from
  ///     that record on.
  /// - Throws: `RAM-DATA` for a payload that does not give a page; codes of the channels; the
  ///   errors of writing.
  package func take(
    _ record: RAMRecord, from input: StreamInput, page: TargetPage
  ) throws(MigrationError) {
    self.page = page
    switch record {
    case .page(let place): try put(place, input.bytes.extracting(first: page.size))
    case .zero(let place): try wipe(place)
    case .xbzrle(let place, _), .compressed(let place, _):
      try packed.restore(record, from: input, size: page.size) {
        (place, content) throws(MigrationError) in
        try readEarlier(place, into: &content)
      }
      let content = packed.content
      try put(place, content.span.extracting(first: page.size))
    case .multifdFlush:
      if meetsAtFlush == nil { meetsAtFlush = true }
      if meetsAtFlush == true { try meet() }
    case .end:
      if meetsAtFlush == nil { meetsAtFlush = false }
      if meetsAtFlush == false { try meet() }
    case .foreign(let word): throw word.refusal
    case .blockList: break
    }
  }

  /// Notes the plugged memory if the section is that of a virtio-mem device: only plugged memory of
  /// such a device is sent.
  /// - Throws: the errors of finding the end of the section's body.
  package func take(
    _ header: SectionHeader, from reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    guard PluggedMemory.Section.isDevice(header) else { return }
    let size = try reader.requireBody()
    let input = reader.input
    let body = Array(copying: input.bytes.extracting(first: size))
    if let section = PluggedMemory.Section(header, body: body) { plugged.take(section) }
  }

  /// Notes a page whose content is encrypted.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  package func take(encrypted page: RAMPage) throws(MigrationError) {
    _ = try seen.insert(self.page.number(page.offset), of: page.block)
  }

  /// Discards pages that are going to be sent again: a postcopy source discards pages that changed
  /// after they were sent.
  /// - Throws: `STREAM-COMMAND` when the payload is not well formed; `RAM-BLOCK`, `RAM-OFFSET`.
  package func discard(_ command: StreamCommand) throws(MigrationError) {
    let discarded = try DiscardedRanges(command)
    guard let index = decoder.index(of: discarded.block) else {
      throw MigrationError(
        .ramBlock, "block is not in the list", in: .section(command.code.name), at: command.offset,
        got: discarded.block.description)
    }
    for range in discarded.ranges {
      guard (range.lowerBound | range.upperBound) & page.mask == 0 else {
        throw MigrationError(
          .command, "discarded range is not in whole pages", in: .section(command.code.name),
          at: command.offset, got: Hex.number(range.lowerBound))
      }
      guard range.upperBound <= arrivals[index].length else {
        throw MigrationError(
          .ramOffset, "discarded pages lie beyond their block", in: .section(command.code.name),
          at: command.offset, got: Hex.number(range.upperBound))
      }
      try seen.remove(
        page.number(range.lowerBound)..<page.number(range.upperBound), of: index)
    }
  }

  /// Reads the rest of the channels and writes all buffered pages. Must be called at the end of the
  /// stream.
  /// - Throws: codes of the channels; the errors of writing.
  package func finish() throws(MigrationError) {
    for channel in channels {
      while try readToMeetingPoint(channel) {}
    }
    try requireNoneOfSupplied()
    let named = blocks.map { (name: "\($0.name)", length: $0.length) }
    for (block, memory) in plugged.memories(of: named) {
      arrivals[block].unplugged = (memory?.unplugged ?? []).map {
        page.number($0.lowerBound)..<page.number($0.upperBound)
      }
    }
    try flush()
  }

  /// Writes all buffered pages, so that the store can be read.
  package func flush() throws(MigrationError) { try writer?.flush() }

  /// Waits for a write in progress. Pages that are still buffered are not written after that. The caller
  /// may then use the store itself.
  package func stop() { writer?.stop() }

  /// The blocks in list order; empty until the list has been read.
  package var blocks: [RAMBlock] { decoder.blocks }
  var listForm: RAMDecoder.ListForm { decoder.listForm }

  /// Number of pages of a block that were not sent. Pages that are not plugged in are not counted.
  /// - Throws: `IO-WRITE`, `IO-READ` for the temporary file of a page set, as the following.
  package func missingPages(of block: Int) throws(MigrationError) -> UInt64 {
    guard arrivals.indices.contains(block) else { return 0 }
    return try missingPages(of: block, in: 0..<arrivals[block].length)
  }

  /// The same of the pages that a range of bytes of the block touches.
  package func missingPages(
    of block: Int, in bytes: Range<UInt64>
  ) throws(MigrationError) -> UInt64 {
    guard arrivals.indices.contains(block), !arrivals[block].isWhole, let last = bytes.last else {
      return 0
    }
    let pages = page.number(bytes.lowerBound)..<page.number(last) + 1
    var missing = UInt64(pages.count) - (try seen.count(in: pages, of: block))
    for range in arrivals[block].unplugged {
      let left = range.clamped(to: pages)
      missing -= UInt64(left.count) - (try seen.count(in: left, of: block))
    }
    return missing
  }

  /// Whether no page of a block was sent although it has pages.
  func isAbsent(_ block: Int) throws(MigrationError) -> Bool {
    guard try seen.first(in: allPages, of: block) == nil else { return false }
    return try missingPages(of: block) > 0
  }

  /// Offset in its block of the first page that was not sent; nil when all were sent.
  package func firstMissing(of block: Int) throws(MigrationError) -> UInt64? {
    guard arrivals.indices.contains(block), !arrivals[block].isWhole else { return nil }
    let end = page.number(arrivals[block].length)
    var start: UInt64 = 0
    for range in arrivals[block].unplugged + [end..<end] {
      if start < range.lowerBound,
        let found = try seen.firstMissing(in: start..<range.lowerBound, of: block)
      {
        return found * UInt64(page.size)
      }
      start = range.upperBound
    }
    return nil
  }

  /// The pages of a block of any length.
  private var allPages: Range<UInt64> { 0..<UInt64.max }

  // MARK: Pages

  private func note(_ place: RAMPage, isZero: Bool) throws(MigrationError) {
    observe(place, 1, isZero)
    _ = try seen.insert(page.number(place.offset), of: place.block)
  }

  private func put(_ place: RAMPage, _ bytes: Span<UInt8>) throws(MigrationError) {
    try note(place, isZero: false)
    guard writer != nil else { return }
    _ = try written.insert(page.number(place.offset), of: place.block)
    try writer?.write(place, bytes)
  }

  private func wipe(_ place: RAMPage) throws(MigrationError) {
    try note(place, isZero: true)
    // New memory is zero, so only pages that were written before must be cleared.
    guard writer != nil,
      try written.contains(page.number(place.offset), of: place.block)
    else { return }
    try writer?.write(place, Self.zeroPage.span.extracting(first: page.size))
  }

  /// Fills `content` with what a page held before. Whether a delta fits a page does not depend on
  /// that, so without a store it is left as it is.
  private func readEarlier(
    _ place: RAMPage, into content: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    guard writer != nil else { return }
    let number = page.number(place.offset)
    if try seen.contains(number, of: place.block), try written.contains(number, of: place.block) {
      try writer?.read(place, into: &content)
    } else {
      content.copy(Self.zeroPage.span.extracting(first: page.size), to: 0)
    }
  }

  // MARK: Channels

  /// Reads all channels up to the point at which they wait for each other and for the main stream.
  private func meet() throws(MigrationError) {
    for channel in channels {
      guard try readToMeetingPoint(channel) else {
        throw MigrationError(
          .streamTruncated, "channel ends before the main stream", in: .file(channel.name),
          at: channel.offset)
      }
    }
  }

  /// - Returns: false at the end of the channel.
  private func readToMeetingPoint(_ channel: MultifdChannel) throws(MigrationError) -> Bool {
    let pages = channel.pages
    while let packet = try channel.next(blocks: decoder, copies: writer != nil) {
      for (index, offset) in packet.normal.enumerated() {
        let start = index * page.size
        try put(
          RAMPage(block: packet.block, offset: offset),
          pages.span.extracting(start..<start + page.size))
      }
      for offset in packet.zero { try wipe(RAMPage(block: packet.block, offset: offset)) }
      if packet.isMeetingPoint { return true }
    }
    return false
  }
}

/// The payload of `postcopy-ram-discard`: version 0, the block's name, a zero byte, then pairs of
/// start and length in bytes (QEMU `migration/savevm.c`).
private struct DiscardedRanges {
  var block: SectionName
  var ranges: [Range<UInt64>] = []

  init(_ command: StreamCommand) throws(MigrationError) {
    var cursor = ByteCursor(command.payload.span, at: command.offset &+ 5)
    let version = try cursor.read(UInt8.self)
    let name = SectionName(try cursor.takeArray(Int(cursor.read(UInt8.self))))
    let end = try cursor.read(UInt8.self)
    guard version == 0, end == 0, let name, cursor.remaining % 16 == 0 else {
      throw MigrationError(
        .command, "list of discarded pages is not well formed", in: .section(command.code.name),
        at: command.offset)
    }
    block = name
    while cursor.remaining > 0 {
      let place = cursor.offset
      let start = try cursor.read(UInt64.self)
      let length = try cursor.read(UInt64.self)
      let (upper, overflow) = start.addingReportingOverflow(length)
      guard !overflow else {
        throw MigrationError(
          .command, "discarded pages have no end", in: .section(command.code.name), at: place)
      }
      ranges.append(start..<upper)
    }
  }
}
