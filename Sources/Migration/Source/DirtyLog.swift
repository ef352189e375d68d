internal import Errors
internal import Guest
internal import QEMUStream
internal import Threads
internal import Wire

/// The VMM's log of pages that are to be sent again, one bit for each page of each RAM block.
///
/// A hypervisor keeps such a log while the guest runs. Here the guests are at rest, so it is made by
/// comparing two of them. It is the host's: a source SVSM does not believe it.
struct DirtyLog {
  private static let pageSize = UInt64(RAMSection.pageSize)
  /// Bytes that one word tells of: those of one item of work.
  private static let window = UInt64(pagesPerBatch) * pageSize

  /// Of each block: bit i of word j tells of page 64 j + i.
  private var words: [[UInt64]]

  /// - Parameter blockSizes: bytes of each block; no page is dirty.
  init(blockSizes: [UInt64]) {
    words = blockSizes.map {
      [UInt64](repeating: 0, count: Int(($0 + Self.window - 1) / Self.window))
    }
  }

  /// Makes the log of what differs between a guest and the same guest before.
  /// - Parameter progress: told how many bytes were compared since it was told last.
  /// - Throws: `IO-READ`.
  init(
    comparing guest: GuestReader, with before: GuestReader, crew: WorkCrew,
    progress: (UInt64) -> Void
  ) throws(MigrationError) {
    let sizes = guest.description.ramBlocks.map(\.size)
    self.init(blockSizes: sizes)
    let underWay = InFlight<ComparedBatch>(for: crew)
    for (block, size) in sizes.enumerated() {
      var (stretches, offset) = ((now: Stretch(), before: Stretch()), UInt64(0))
      while offset < size {
        let end = min(offset + Self.window, size)
        let nowIsHole = try stretches.now.isHole(in: guest, block, offset..<end, of: size)
        let wasHole = try stretches.before.isHole(in: before, block, offset..<end, of: size)
        if nowIsHole, wasHole {
          // As far as both are holes, in whole windows.
          let known = min(stretches.now.end, stretches.before.end)
          let next = known == size ? size : known / Self.window * Self.window
          progress(next - offset)
          offset = next
          continue
        }
        if underWay.isFull { try finishOldest(underWay, crew, progress) }
        let batch = underWay.takeFree() ?? ComparedBatch(guest, before)
        batch.place = BlockExtent(block: block, offset: offset, size: end - offset)
        (batch.isHole, batch.wasHole) = (nowIsHole, wasHole)
        underWay.submit(batch, to: crew)
        offset = end
      }
    }
    while !underWay.isEmpty { try finishOldest(underWay, crew, progress) }
  }

  /// Notes that all pages of a stretch are dirty.
  mutating func mark(_ place: BlockExtent) {
    var page = Int(place.offset / Self.pageSize)
    let end = Int(place.end / Self.pageSize)
    while page < end {
      let (word, bit) = (page >> 6, page & 63)
      let count = min(64 - bit, end - page)
      words[place.block][word] |= (.max >> UInt64(64 - count)) << UInt64(bit)
      page += count
    }
  }

  /// The runs of dirty pages in a stretch, in ascending order.
  func runs(in place: BlockExtent) -> some Sequence<BlockExtent> {
    sequence(state: place) { (rest: inout BlockExtent) -> BlockExtent? in
      guard let start = firstPage(in: rest, isDirty: true) else { return nil }
      rest = BlockExtent(block: rest.block, offset: start, size: rest.end - start)
      let end = firstPage(in: rest, isDirty: false) ?? rest.end
      rest = BlockExtent(block: rest.block, offset: end, size: rest.end - end)
      return BlockExtent(block: rest.block, offset: start, size: end - start)
    }
  }

  /// Offset of the first page of a stretch that is dirty, or is not.
  private func firstPage(in place: BlockExtent, isDirty: Bool) -> UInt64? {
    var page = Int(place.offset / Self.pageSize)
    let end = Int(place.end / Self.pageSize)
    while page < end {
      let word = words[place.block][page >> 6] ^ (isDirty ? 0 : .max)
      let ahead = word >> UInt64(page & 63)
      if ahead != 0 {
        page += ahead.trailingZeroBitCount
        return page < end ? UInt64(page) * Self.pageSize : nil
      }
      page = (page | 63) + 1
    }
    return nil
  }

  private mutating func finishOldest(
    _ underWay: InFlight<ComparedBatch>, _ crew: WorkCrew, _ progress: (UInt64) -> Void
  ) throws(MigrationError) {
    guard let batch = underWay.finishOldest(with: crew) else { return }
    if let error = batch.error { throw error }
    words[batch.place.block][Int(batch.place.offset / Self.window)] = batch.changed
    progress(batch.place.size)
    underWay.recycle(batch)
  }

  /// What is known of the holes of a RAM block.
  private struct Stretch {
    /// Where it ends: all before was asked for.
    var end: UInt64 = 0
    private var isHole = false

    /// Whether a part of the block, which lies behind all others that were asked for, is a hole as a
    /// whole.
    mutating func isHole(
      in guest: GuestReader, _ block: Int, _ part: Range<UInt64>, of size: UInt64
    ) throws(MigrationError) -> Bool {
      if part.lowerBound >= end {
        (end, isHole) = try guest.stretch(block: block, from: part.lowerBound, to: size)
      }
      return isHole && end >= part.upperBound
    }
  }
}

/// Pages of a guest to be compared with those it had before.
private final class ComparedBatch: WorkItem, @unchecked Sendable {
  private let guest: GuestReader
  private let guestBefore: GuestReader
  private let pages = PageBuffer(count: pagesPerBatch * RAMSection.pageSize)
  private let pagesBefore = PageBuffer(count: pagesPerBatch * RAMSection.pageSize)
  var place = BlockExtent(block: 0, offset: 0, size: 0)
  /// They are zero, and not to be read.
  var isHole = false
  /// They were.
  var wasHole = false
  /// Bit i: page i differs.
  private(set) var changed: UInt64 = 0
  private(set) var error: MigrationError?

  init(_ guest: GuestReader, _ before: GuestReader) { (self.guest, guestBefore) = (guest, before) }

  override func perform() {
    do throws(MigrationError) {
      changed = 0
      let (pages, pagesBefore) = (pages, pagesBefore)
      try Self.fill(pages, guest, place, isHole: isHole)
      try Self.fill(pagesBefore, guestBefore, place, isHole: wasHole)
      for page in 0..<Int(place.size) / RAMSection.pageSize {
        let bytes = page * RAMSection.pageSize..<(page + 1) * RAMSection.pageSize
        if !pages.span.extracting(bytes).isEqual(to: pagesBefore.span.extracting(bytes)) {
          changed |= 1 << UInt64(page)
        }
      }
    } catch {
      self.error = error
    }
  }

  private static func fill(
    _ buffer: PageBuffer, _ guest: GuestReader, _ place: BlockExtent, isHole: Bool
  ) throws(MigrationError) {
    let bytes = 0..<Int(place.size)
    if isHole { return buffer.zero(bytes) }
    var pages = buffer.mutableSpan(bytes)
    try guest.read(block: place.block, at: place.offset, into: &pages)
  }
}
