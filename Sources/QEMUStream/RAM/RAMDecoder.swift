package import Errors
internal import Wire

/// Reads the bodies of `ram` sections, record by record.
///
/// The block list and the block of the previous page record remain valid from one body to the next,
/// as in QEMU, so one decoder serves a whole stream. A page record allocates nothing.
package struct RAMDecoder: Sendable {
  /// Most blocks of a list; real machines have fewer than fifty.
  package static let defaultBlockLimit = 4096
  /// The optional fields in the entries of a block list. Only other parts of the stream show which
  /// are present.
  package struct ListForm: Equatable, Sendable {
    /// `x-ignore-shared`: the block's address, 8 bytes.
    package var hasAddresses = false
    /// `mapped-ram`: a `MappedBlock`, followed by the pages.
    package var isMapped = false
    /// `postcopy-advise`: the sum of all page sizes of the guest's blocks. An entry then has the
    /// page size of its block, 8 bytes, if it is not the usual one.
    package var pageSizes: UInt64 = 0

    package init() {}
  }

  /// The blocks in list order; empty until the list has been read.
  package private(set) var blocks: [RAMBlock] = []
  /// The headers of a mapped-ram stream's blocks, in list order.
  package private(set) var mapped: [MappedBlock] = []
  /// Must be set before the list is read.
  package var listForm = ListForm()
  /// The page size of the stream. Until the first page record it may be an assumption.
  package private(set) var page: TargetPage
  private var isPageKnown: Bool
  /// Whether words that no plain stream has are returned. The reader of dialects handles the data
  /// after them.
  var takesForeignWords = false
  private let blockLimit: Int
  private var hasList = false
  /// Number of bytes of blocks that the rest of the list must name; nil when no list is being read.
  private var listLeft: UInt64?
  private var names: Set<SectionName> = []
  /// An index of all blocks, once the list has been read.
  private var blocksByName = RAMBlockOrder()
  /// Index of the block of the previous page record.
  private var current: Int?
  /// Size of the payload that was returned last and is still at the front of the window.
  private var pending = 0

  /// - Parameter page: page size of the stream; nil to find it in the stream.
  package init(page: TargetPage? = .x86, blockLimit: Int = RAMDecoder.defaultBlockLimit) {
    self.blockLimit = blockLimit
    self.page = page ?? .x86
    isPageKnown = page != nil
  }

  /// Sets the page size of the stream. Must be called before the block list is read.
  package mutating func expect(_ page: TargetPage) { (self.page, isPageKnown) = (page, true) }

  /// Reads the next record. Its payload is contiguous at the front of the window until the next
  /// call, which consumes it: `input.bytes.extracting(first: record.payloadSize)`.
  ///
  /// The section's footer follows `.end` and is not read here.
  /// - Throws: `RAM-FLAGS` for words that begin no record, `RAM-LIST`, `RAM-BLOCK` for an unknown
  ///   block or a first page without a name, `RAM-OFFSET` for an offset beyond the block,
  ///   `RAM-DATA` for lengths and fill bytes that are not allowed; `STREAM-TRUNCATED`.
  package mutating func next(from input: StreamInput) throws(MigrationError) -> RAMRecord {
    guard let record = try nextOrJump(from: input) else {
      throw refused(.ramList, "mapped-ram is not read here", at: input.offset)
    }
    return record
  }

  /// Reads the next record of a stream that may be mapped-ram.
  /// - Returns: nil when the pages of the last block in `mapped` follow. The input of the next call
  ///   must then be positioned at the `end` of that block.
  // Inlined into `next`: passing the record through would cost a page one instruction in twenty.
  @inline(__always)
  package mutating func nextOrJump(
    from input: StreamInput
  ) throws(MigrationError) -> RAMRecord? {
    if let left = listLeft {
      listLeft = nil
      return try readBlockList(left: left, from: input)
    }
    if pending > 0 {
      input.consume(pending)
      pending = 0
    }
    let start = input.offset
    let word: UInt64 = try input.read()
    let mask = hasList || isPageKnown ? page.mask : TargetPage.smallest.mask
    let address = word & ~mask
    let flags = word & mask
    let isContinued = flags & RAMFlags.continue != 0
    let record: RAMRecord
    switch flags & ~RAMFlags.continue {
    case RAMFlags.page:
      let place = try place(address, isContinued, at: start, from: input)
      if !isPageKnown { try findPage(of: place, isZero: false, from: input) }
      try input.require(page.size)
      record = .page(place)
    case RAMFlags.zero:
      let place = try place(address, isContinued, at: start, from: input)
      if !isPageKnown { try findPage(of: place, isZero: true, from: input) }
      let fillOffset = input.offset
      let fill: UInt8 = try input.read()
      guard fill == 0 else {
        throw refused(
          .ramData, "zero page has another fill byte", at: fillOffset, got: "\(fill)")
      }
      record = .zero(place)
    case RAMFlags.xbzrle:
      record = try delta(address, isContinued, at: start, from: input)
    case RAMFlags.compressed:
      record = try compressed(address, isContinued, at: start, from: input)
    case RAMFlags.memorySize where !isContinued:
      guard !hasList else { throw refused(.ramList, "second block list", at: start) }
      return try readBlockList(left: address, from: input)
    case RAMFlags.end where word == RAMFlags.end: record = .end
    case RAMFlags.multifdFlush where word == RAMFlags.multifdFlush: record = .multifdFlush
    default:
      let foreign = ForeignWord(word: word, offset: start, mask: mask)
      guard takesForeignWords else { throw foreign.refusal }
      record = .foreign(foreign)
    }
    pending = record.payloadSize(page: page.size)
    return record
  }

  /// The index of the block with the given name.
  package func index(of name: SectionName) -> Int? {
    let bytes = name.bytes
    return blocksByName.index(of: bytes.span, in: blocks)
  }

  mutating func place(
    _ offset: UInt64, _ isContinued: Bool, at start: UInt64, from input: StreamInput
  ) throws(MigrationError) -> RAMPage {
    guard mapped.isEmpty else {
      throw refused(.ramFlags, "page record in a mapped-ram stream", at: start)
    }
    if !isContinued { try readBlockName(from: input) }
    guard let current else {
      throw refused(.ramBlock, "first page record names no block", at: start)
    }
    guard offset < blocks[current].length else {
      throw MigrationError(
        .ramOffset, "page lies beyond its block \(blocks[current].name)",
        in: .ram, at: start,
        expected: "less than 0x" + String(blocks[current].length, radix: 16),
        got: Hex.number(offset))
    }
    return RAMPage(block: current, offset: offset)
  }

  /// Finds the page size of the stream from its first page record, whose payload is next in the
  /// input. If the record does not show it, the assumed size is kept.
  private mutating func findPage(
    of first: RAMPage, isZero: Bool, from input: StreamInput
  ) throws(MigrationError) {
    isPageKnown = true
    guard first.offset == 0 else { return }
    let found = try TargetPage(afterFirst: isZero, of: blocks[first.block].length) {
      (place) throws(MigrationError) in
      guard try input.available(atLeast: place + 8) >= place + 8 else { return nil }
      return input.word(at: place)
    }
    if let found { page = found }
  }

  private mutating func readBlockName(from input: StreamInput) throws(MigrationError) {
    let start = input.offset
    let count = Int(try input.read(UInt8.self))
    guard count > 0 else {
      throw refused(.ramBlock, "block name is empty", at: start, got: "length 0")
    }
    try input.require(count)
    let name = input.bytes.extracting(first: count)
    // The name is compared in place, since a stream may name a block in every page record.
    guard let index = blocksByName.index(of: name, in: blocks) else {
      let text = SectionName(Array(copying: name))?.description
      throw refused(.ramBlock, "block is not in the list", at: start, got: text)
    }
    current = index
    input.consume(count)
  }

  private mutating func delta(
    _ offset: UInt64, _ isContinued: Bool, at start: UInt64, from input: StreamInput
  ) throws(MigrationError) -> RAMRecord {
    let place = try place(offset, isContinued, at: start, from: input)
    let dataOffset = input.offset
    let encoding: UInt8 = try input.read()
    let length = Int(try input.read(UInt16.self))
    guard encoding == 1, 1...page.size ~= length else {
      throw refused(
        .ramData, "XBZRLE page has a wrong encoding or length", at: dataOffset,
        got: "encoding \(encoding), length \(length)")
    }
    try input.require(length)
    return .xbzrle(place, length: length)
  }

  private mutating func compressed(
    _ offset: UInt64, _ isContinued: Bool, at start: UInt64, from input: StreamInput
  ) throws(MigrationError) -> RAMRecord {
    let place = try place(offset, isContinued, at: start, from: input)
    let dataOffset = input.offset
    let length = try input.read(UInt32.self)
    // zlib adds only a few bytes to a page that it cannot compress.
    guard length > 0, length <= 2 * page.size else {
      throw refused(
        .ramData, "compressed page has a wrong length", at: dataOffset, got: "\(length)")
    }
    try input.require(Int(length))
    return .compressed(place, length: Int(length))
  }

  /// - Returns: nil after a mapped block.
  private mutating func readBlockList(
    left total: UInt64, from input: StreamInput
  ) throws(MigrationError) -> RAMRecord? {
    var left = total
    while left > 0 {
      let block = try readEntry(left: left, from: input)
      left -= block.length
      blocks.append(block)
      if listForm.isMapped {
        let found = try input.readMappedBlock(
          length: block.length, isPageKnown ? page : nil, mayBeAbsent: listForm.hasAddresses)
        expect(found.page)
        mapped.append(found)
        if found.isAbsent { continue }
        listLeft = left
        return nil
      }
    }
    hasList = true
    if !isPageKnown { page = TargetPage(fitting: blocks) }
    blocksByName = RAMBlockOrder(blocks)
    return .blockList
  }

  private mutating func readEntry(
    left: UInt64, from input: StreamInput
  ) throws(MigrationError) -> RAMBlock {
    let entry = input.offset
    guard blocks.count < blockLimit else {
      throw refused(.ramList, "too many blocks", at: entry, got: "more than \(blockLimit)")
    }
    let count = Int(try input.read(UInt8.self))
    guard let name = SectionName(try input.readArray(count)) else {
      throw refused(.ramList, "block name is empty", at: entry, got: "length 0")
    }
    let lengthOffset = input.offset
    let length: UInt64 = try input.read()
    guard names.insert(name).inserted else {
      throw refused(.ramList, "block is listed twice", at: entry, got: name.description)
    }
    let mask = isPageKnown ? page.mask : TargetPage.smallest.mask
    guard length > 0, length & mask == 0, length <= left else {
      throw MigrationError(
        .ramList, "block length is not a multiple of a page or exceeds the total",
        in: .ram, at: lengthOffset,
        expected: "1 to \(Hex.number(left))", got: Hex.number(length))
    }
    try skipPageSize(from: input)
    if listForm.hasAddresses { _ = try input.read(UInt64.self) }
    return RAMBlock(name: name, length: length)
  }

  /// Skips the page size that may follow a length. If there is none, the length byte of a name
  /// follows, which is not 0, or a word, whose low bits are not 0.
  private func skipPageSize(from input: StreamInput) throws(MigrationError) {
    let usual = UInt64(max(page.size, Page.size))
    guard listForm.pageSizes & ~usual != 0, try input.available(atLeast: 8) >= 8 else { return }
    let value = input.word(at: 0)
    if value > usual, value & (value - 1) == 0, value & listForm.pageSizes == value {
      input.consume(8)
    }
  }

  private func refused(
    _ code: ErrorCode, _ what: String, at offset: UInt64, got: String? = nil
  ) -> MigrationError {
    MigrationError(
      code, what, in: .ram, at: offset, got: got)
  }
}

extension StreamInput {
  /// The big-endian number at index `place` of the window. Precondition: the window has its 8
  /// bytes.
  fileprivate func word(at place: Int) -> UInt64 {
    let window = bytes
    var value: UInt64 = 0
    for index in place..<place + 8 { value = value << 8 | UInt64(window[index]) }
    return value
  }
}
