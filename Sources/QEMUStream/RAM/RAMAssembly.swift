package import Errors
internal import Wire

/// Puts the RAM of a stream together, from whatever it comes in: records of the main stream of any
/// kind, multifd channels, the pages of a mapped-ram file. The last content of a page wins.
///
/// The one place where page records become memory. Without a store pages are counted, and what is
/// packed is unpacked all the same: that a page could be put together is known either way.
package final class RAMAssembly {
  /// Told of the pages that come, so many from one on, and whether they are zero.
  package typealias Observer = (RAMPage, _ count: UInt64, _ isZero: Bool) -> Void

  /// What came of one block.
  private struct Arrival {
    var length: UInt64
    /// Pages that came in whatever form, and were not discarded since.
    var seen = PageSet()
    /// Pages that were ever written: only they have to be wiped when they come as zero.
    var written = PageSet()
    /// Pages, in order, that are not plugged in and never come.
    var unplugged: [Range<UInt64>] = []
    /// Whether the stream gives every page at once (mapped-ram).
    var isWhole = false
  }

  private let channels: [MultifdChannel]
  private let file: (any PositionedSource)?
  private let observe: Observer
  private var decoder = RAMDecoder()
  private var arrivals: [Arrival] = []
  private var writer: PageWriter?
  private var inflater: PageInflater?
  private var plugged = PluggedSections()
  /// Of the stream, once the first page has come.
  package private(set) var page = TargetPage.x86
  /// Room for a page of any stream.
  private let content = PageBuffer(count: TargetPage.largest.size)
  private static let zeroPage = [UInt8](repeating: 0, count: TargetPage.largest.size)
  /// Whether channels meet at flush records (QEMU 8.1 and later) or at the end of each body; nil
  /// until the first body tells.
  private var meetsAtFlush: Bool?

  /// - Parameters:
  ///   - channels: multifd channels, beside the main stream.
  ///   - file: what a mapped-ram stream lies in.
  package init(
    channels: [MultifdChannel] = [], file: (any PositionedSource)? = nil,
    observe: @escaping Observer = { _, _, _ in }
  ) {
    self.channels = channels
    self.file = file
    self.observe = observe
  }

  /// Takes in the block list. Of a mapped-ram stream, reads all pages.
  /// - Parameters:
  ///   - decoder: the reader's, which has just read the list.
  ///   - configuration: the stream's, if it has one.
  ///   - store: all zero; nil when nobody wants the memory.
  /// - Throws: `RAM-LIST` for a second list; `CHANNEL-MACHINE` for channels of different machines;
  ///   `STREAM-TRUNCATED`; what reading and writing throw.
  package func begin(
    _ decoder: RAMDecoder, of configuration: Configuration?, into store: (any RAMStore)?
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
    writer = store.map(PageWriter.init)
    for (index, mapped) in decoder.mapped.enumerated() {
      guard let file, mapped.end <= file.size else {
        throw MigrationError(
          .streamTruncated, "stream ends within the pages of a block",
          in: .ram, at: file?.size)
      }
      let pages = MappedPages(of: mapped, block: index, in: file)
      try pages.read(into: &writer, observe)
      arrivals[index].isWhole = true
    }
  }

  /// Takes in a record.
  /// - Parameters:
  ///   - input: where the record's payload is at the front of the window.
  ///   - page: of the stream. One that nothing but its first page record tells is known from there on.
  /// - Throws: `RAM-DATA` for a payload that gives no page; codes of the channels; what writing
  ///   throws.
  package func take(
    _ record: RAMRecord, from input: StreamInput, page: TargetPage
  ) throws(MigrationError) {
    self.page = page
    switch record {
    case .page(let place): try put(place, input.bytes.extracting(first: page.size))
    case .zero(let place): try wipe(place)
    case .xbzrle(let place, let length):
      try patch(place, input.bytes.extracting(first: length), at: input.offset)
    case .compressed(let place, let length):
      if inflater == nil { inflater = try PageInflater() }
      let content = self.content
      var span = content.mutableSpan(0..<page.size)
      try inflater?.inflate(input.bytes.extracting(first: length), into: &span, at: input.offset)
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

  /// Takes in what a section just begun says of memory that is plugged in: of that of virtio-mem only parts
  /// are sent.
  /// - Throws: what finding the end of its body throws.
  package func take(
    _ header: SectionHeader, from reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    guard PluggedMemory.Section.isDevice(header) else { return }
    let size = try reader.requireBody()
    let input = reader.input
    let body = Array(copying: input.bytes.extracting(first: size))
    if let section = PluggedMemory.Section(header, body: body) { plugged.take(section) }
  }

  /// Takes in a page whose content is encrypted: that it came is all there is to know.
  package func take(encrypted page: RAMPage) {
    _ = arrivals[page.block].seen.insert(self.page.number(page.offset))
  }

  /// Takes back pages that come again: a postcopy source discards what changed meanwhile.
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
          .command, "discarded pages are no whole pages", in: .section(command.code.name),
          at: command.offset, got: Hex.number(range.lowerBound))
      }
      guard range.upperBound <= arrivals[index].length else {
        throw MigrationError(
          .ramOffset, "discarded pages lie beyond their block", in: .section(command.code.name),
          at: command.offset, got: Hex.number(range.upperBound))
      }
      arrivals[index].seen.remove(
        page.number(range.lowerBound)..<page.number(range.upperBound))
    }
  }

  /// Takes in what is left of the channels, and writes what is held back. To be called at the end
  /// of the stream.
  /// - Throws: codes of the channels; what writing throws.
  package func finish() throws(MigrationError) {
    for channel in channels {
      while try readToMeetingPoint(channel) {}
    }
    for (index, block) in blocks.enumerated() {
      let memory = plugged.memory(ofBlock: "\(block.name)", length: block.length)
      arrivals[index].unplugged = (memory?.unplugged ?? []).map {
        page.number($0.lowerBound)..<page.number($0.upperBound)
      }
    }
    try flush()
  }

  /// Writes what is held back, so that the store can be read.
  package func flush() throws(MigrationError) { try writer?.flush() }

  /// In list order; empty until the list was taken in.
  package var blocks: [RAMBlock] { decoder.blocks }
  var listForm: RAMDecoder.ListForm { decoder.listForm }

  /// Pages of a block that never came; of those that are not plugged in none is missed once all came.
  package func missingPages(of block: Int) -> UInt64 {
    guard arrivals.indices.contains(block) else { return 0 }
    return missingPages(of: block, in: 0..<arrivals[block].length)
  }

  /// The same of the pages that a range of bytes of the block touches.
  package func missingPages(of block: Int, in bytes: Range<UInt64>) -> UInt64 {
    guard arrivals.indices.contains(block), !arrivals[block].isWhole, let last = bytes.last else {
      return 0
    }
    let arrival = arrivals[block]
    let pages = page.number(bytes.lowerBound)..<page.number(last) + 1
    let left = arrival.unplugged.reduce(UInt64(0)) {
      let range = $1.clamped(to: pages)
      return $0 + UInt64(range.count) - arrival.seen.count(in: range)
    }
    let seen =
      pages.upperBound == page.number(arrival.length) && pages.lowerBound == 0
      ? arrival.seen.count : arrival.seen.count(in: pages)
    return UInt64(pages.count) - seen - left
  }

  /// Where the first page lies in its block that never came; nil when all did.
  package func firstMissing(of block: Int) -> UInt64? {
    guard missingPages(of: block) > 0 else { return nil }
    var number: UInt64 = 0
    var unplugged = arrivals[block].unplugged[...]
    while true {
      if let range = unplugged.first, number >= range.lowerBound {
        number = max(number, range.upperBound)
        unplugged.removeFirst()
      } else if arrivals[block].seen.contains(number) {
        number += 1
      } else {
        break
      }
    }
    return number * UInt64(page.size)
  }

  // MARK: Pages

  private func note(_ place: RAMPage, isZero: Bool) {
    observe(place, 1, isZero)
    _ = arrivals[place.block].seen.insert(page.number(place.offset))
  }

  private func put(_ place: RAMPage, _ bytes: Span<UInt8>) throws(MigrationError) {
    note(place, isZero: false)
    guard writer != nil else { return }
    _ = arrivals[place.block].written.insert(page.number(place.offset))
    try writer?.write(place, bytes)
  }

  private func wipe(_ place: RAMPage) throws(MigrationError) {
    note(place, isZero: true)
    // New memory is zero: only what was written before must be wiped.
    guard arrivals[place.block].written.contains(page.number(place.offset)) else { return }
    try writer?.write(place, Self.zeroPage.span.extracting(first: page.size))
  }

  private func patch(
    _ place: RAMPage, _ delta: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    let content = self.content
    var span = content.mutableSpan(0..<page.size)
    let number = page.number(place.offset)
    // Whether a delta fits a page does not depend on what is there.
    if writer != nil {
      if arrivals[place.block].seen.contains(number), arrivals[place.block].written.contains(number)
      {
        try writer?.read(place, into: &span)
      } else {
        span.copy(Self.zeroPage.span.extracting(first: page.size), to: 0)
      }
    }
    try XBZRLE.apply(delta, to: &span, at: offset)
    try put(place, content.span.extracting(first: page.size))
  }

  // MARK: Channels

  /// All channels go on to the place where they wait for each other and for the main stream.
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

/// The payload of `postcopy-ram-discard`: version 0, the block's name, 0, then pairs of start and
/// length in bytes (QEMU `migration/savevm.c`).
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
