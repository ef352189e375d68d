internal import Errors
internal import PageSets
internal import QEMUStream
package import SVSM
internal import Wire

/// What came in one epoch, as its records show it.
package struct EpochFacts: Sendable, Equatable {
  /// Number of the epoch, from 1.
  package var epoch: UInt32
  /// Page records, by operation.
  package var records = PageCounts()
  /// Private pages that were sent and are all zero; nil without keys, which alone show that.
  package var privateZero: UInt64?
  /// Shared pages that were sent with content, and as zero.
  package var sharedContent: UInt64 = 0
  package var sharedZero: UInt64 = 0
  /// Pages of both kinds that had been sent before, in whichever epoch and form.
  package var sentAgain: UInt64 = 0
  /// Bytes of the stream from the first part of the epoch to the end of its token.
  package var bytes: UInt64 = 0
  /// Whether its token was read.
  package var isClosed = false
}

/// Consecutive pages each of which was sent again.
package struct HotRange: Sendable, Equatable {
  package var block: Int
  /// Offset of the first page in the block.
  package var offset: UInt64
  package var pages: UInt64
  /// How often pages of the range were sent again, together.
  package var times: UInt64
  /// How often the page that was sent again most often was.
  package var most: UInt16
}

/// The epochs of a stream, collected record by record.
///
/// It is a class, since a set of pages cannot be copied. It holds, besides that set, 1 KiB for each
/// 2 MiB of memory of which a page was sent again, up to `regionLimit` times.
package final class EpochTable {
  /// Most regions of 2 MiB in which it is counted how often each page was sent again.
  private static let regionLimit = 1 << 14
  /// Pages of a region.
  private static let regionPages: UInt64 = 512

  package private(set) var epochs = BoundedList<EpochFacts>()
  /// Number of times a page was sent again that are in no range, because there were too many
  /// regions.
  package private(set) var uncounted: UInt64 = 0
  private var regions = 0
  private var open = EpochFacts(epoch: 1)
  /// Stream offset of the first part of the open epoch; nil before there is a part.
  private var start: UInt64?
  /// The pages that were sent.
  private var sent = PageSet()
  /// For each RAM block: how often each page of a region was sent again, by the region's number.
  private var again: [[UInt64: [UInt16]]] = []

  init(hasKeys: Bool) { open.privateZero = hasKeys ? 0 : nil }

  func take(blocks: Int) {
    again = [[UInt64: [UInt16]]](repeating: [:], count: blocks)
  }

  /// Notes that a part of a section begins at a stream offset.
  func beginPart(at offset: UInt64) { if start == nil { start = offset } }

  /// Notes a page record.
  /// - Parameters:
  ///   - place: where the page is; nil when it is not mapped.
  ///   - isZero: whether its content is zero; nil without keys.
  func note(
    _ operation: PageMetadata.Operation, at place: (block: Int, offset: UInt64)?, isZero: Bool?
  ) throws(MigrationError) {
    open.records.add(operation)
    guard operation != .cancel else { return }
    if isZero == true { open.privateZero? += 1 }
    if let place { try noteSent(place.block, place.offset) }
  }

  /// Notes a page of shared memory.
  func note(shared page: RAMPage, isZero: Bool) throws(MigrationError) {
    if isZero { open.sharedZero += 1 } else { open.sharedContent += 1 }
    try noteSent(page.block, page.offset)
  }

  private func noteSent(_ block: Int, _ offset: UInt64) throws(MigrationError) {
    let number = offset / Page.size64
    guard again.indices.contains(block), try !sent.insert(number, of: block) else { return }
    open.sentAgain += 1
    let region = number / Self.regionPages
    let page = Int(number % Self.regionPages)
    if again[block][region] == nil {
      guard regions < Self.regionLimit else {
        uncounted += 1
        return
      }
      regions += 1
      again[block][region] = Self.none
    }
    let count = again[block][region]?[page] ?? .max
    if count < .max { again[block][region]?[page] = count + 1 }
  }

  private static let none = [UInt16](
    repeating: 0, count: Int(regionPages))

  /// Closes the epoch with its token.
  /// - Parameter end: stream offset after the token's section.
  func close(_ token: EpochToken, at end: UInt64) {
    open.isClosed = true
    append(until: end)
    open = EpochFacts(epoch: token.epoch &+ 1, privateZero: open.privateZero.map { _ in 0 })
    start = token.isLast ? nil : end
  }

  /// Closes the table where the reading ended. An epoch without a token is listed if it has begun.
  func finish(at end: UInt64) {
    if start.map({ $0 < end }) == true { append(until: end) }
    start = nil
  }

  private func append(until end: UInt64) {
    open.bytes = end &- (start ?? end)
    epochs.append(open)
  }

  /// The ranges that were sent again most often: by how often, then by how often one page, then by
  /// place.
  /// - Parameter limit: largest number of ranges.
  package func hottest(_ limit: Int) -> [HotRange] {
    var found: [HotRange] = []
    func add(_ range: HotRange) {
      guard range.pages > 0 else { return }
      let place = found.firstIndex { ($0.times, $0.most) < (range.times, range.most) }
      found.insert(range, at: place ?? found.count)
      if found.count > limit { found.removeLast() }
    }
    for (block, regions) in again.enumerated() {
      var run = HotRange(block: block, offset: 0, pages: 0, times: 0, most: 0)
      for (region, counts) in regions.sorted(by: { $0.key < $1.key }) {
        for (page, times) in counts.enumerated() where times > 0 {
          let offset = (region * Self.regionPages + UInt64(page)) * Page.size64
          if offset != run.offset + run.pages * Page.size64 {
            add(run)
            run = HotRange(block: block, offset: offset, pages: 0, times: 0, most: 0)
          }
          run.pages += 1
          run.times += UInt64(times)
          run.most = max(run.most, times)
        }
      }
      add(run)
    }
    return found
  }
}
