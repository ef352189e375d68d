internal import Errors
internal import Guest
internal import PageSets
internal import QEMUStream
internal import Threads
internal import Wire

/// The VMM's log of pages that must be sent again.
///
/// A hypervisor keeps such a log while the guest runs. Here the guests are at rest, so the log is
/// made by comparing two states of the guest. It is the host's data, and a source SVSM does not
/// trust it.
struct DirtyLog: ~Copyable {
  private static let pageSize = Page.size64
  /// Bytes of one work item's share.
  private static let window = UInt64(pagesPerBatch) * pageSize

  private var pages = PageSet(memory: NodePool.limitInOrder)

  /// Makes the log of the pages that differ between a guest and the same guest at an earlier time.
  /// - Parameter progress: called with the number of bytes compared since its last call.
  /// - Throws: `IO-READ`; `OUTPUT-CREATE`, `IO-WRITE` for the temporary file, as all of the following.
  init(
    comparing guest: GuestReader, with before: GuestReader, crew: WorkCrew,
    progress: (UInt64) -> Void
  ) throws(MigrationError) {
    let sizes = guest.description.ramBlocks.map(\.size)
    let underWay = InFlight<ComparedBatch>(for: crew)
    for (block, size) in sizes.enumerated() {
      var (stretches, offset) = ((now: Stretch(), before: Stretch()), UInt64(0))
      while offset < size {
        let end = min(offset + Self.window, size)
        let nowIsHole = try stretches.now.isHole(in: guest, block, offset..<end, of: size)
        let wasHole = try stretches.before.isHole(in: before, block, offset..<end, of: size)
        if nowIsHole, wasHole {
          // Skip whole windows, as far as both are holes.
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

  /// Marks all pages of an extent as dirty.
  mutating func mark(_ place: BlockExtent) throws(MigrationError) {
    try pages.insert(Self.pages(of: place), of: place.block)
  }

  /// The first run of dirty pages in an extent; nil when there is none. The extent becomes what is behind the
  /// run.
  mutating func nextRun(in rest: inout BlockExtent) throws(MigrationError) -> BlockExtent? {
    let pages = Self.pages(of: rest)
    guard let first = try self.pages.first(in: pages, of: rest.block) else { return nil }
    let end =
      try self.pages.firstMissing(in: first..<pages.upperBound, of: rest.block)
      ?? pages.upperBound
    let last = rest.end
    rest.offset = end * Self.pageSize
    rest.size = last - rest.offset
    return BlockExtent(
      block: rest.block, offset: first * Self.pageSize, size: (end - first) * Self.pageSize)
  }

  private static func pages(of place: BlockExtent) -> Range<UInt64> {
    place.offset / pageSize..<place.end / pageSize
  }

  private mutating func finishOldest(
    _ underWay: InFlight<ComparedBatch>, _ crew: WorkCrew, _ progress: (UInt64) -> Void
  ) throws(MigrationError) {
    guard let batch = underWay.finishOldest(with: crew) else { return }
    if let error = batch.error { throw error }
    if batch.changed != 0 {
      try pages.insert(
        batch.changed, from: batch.place.offset / Self.pageSize, of: batch.place.block)
    }
    progress(batch.place.size)
    underWay.recycle(batch)
  }

  /// A part of a RAM block that is known to be a hole as a whole, or to be stored.
  private struct Stretch {
    /// Where the part ends. Everything before it was asked for.
    var end: UInt64 = 0
    private var isHole = false

    /// Whether a range of the block is a hole as a whole. The range must be after all ranges that
    /// were asked for before.
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

/// The runs of dirty pages in stretches of memory, in their order.
struct DirtyRuns<Stretches: IteratorProtocol> where Stretches.Element: MemoryStretch {
  private var stretches: Stretches
  private var stretch: Stretches.Element?
  /// What is left of that stretch.
  private var rest = BlockExtent(block: 0, offset: 0, size: 0)

  init(of stretches: Stretches) { self.stretches = stretches }

  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of the log.
  mutating func next(in log: inout DirtyLog) throws(MigrationError) -> Stretches.Element? {
    while true {
      if let stretch, let run = try log.nextRun(in: &rest) { return stretch.part(run) }
      guard let next = stretches.next() else { return nil }
      (stretch, rest) = (next, next.place)
    }
  }
}

/// A batch of pages of a guest that are compared with its pages at the earlier time.
private final class ComparedBatch: WorkItem, @unchecked Sendable {
  private let guest: GuestReader
  private let guestBefore: GuestReader
  private let pages = PageBuffer(count: pagesPerBatch * Page.size)
  private let pagesBefore = PageBuffer(count: pagesPerBatch * Page.size)
  var place = BlockExtent(block: 0, offset: 0, size: 0)
  /// Whether the pages are a hole: they are zero and are not read.
  var isHole = false
  /// Whether the earlier pages are a hole.
  var wasHole = false
  /// Bit i is set when page i differs.
  private(set) var changed: UInt64 = 0
  private(set) var error: MigrationError?

  init(_ guest: GuestReader, _ before: GuestReader) { (self.guest, guestBefore) = (guest, before) }

  override func perform() {
    do throws(MigrationError) {
      changed = 0
      let (pages, pagesBefore) = (pages, pagesBefore)
      try Self.fill(pages, guest, place, isHole: isHole)
      try Self.fill(pagesBefore, guestBefore, place, isHole: wasHole)
      for page in 0..<Int(place.size) / Page.size {
        let bytes = page * Page.size..<(page + 1) * Page.size
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
