/// What was sent of a guest that runs, in one epoch.
package struct LiveRound: Sendable, Equatable {
  /// Private pages; each comes once in an epoch.
  package var privatePages: UInt64 = 0
  /// Shared pages with content, and shared pages that are zero.
  package var sharedPages: UInt64 = 0
  package var zeroPages: UInt64 = 0
  /// How many of all these were sent before.
  package var again: UInt64 = 0
  /// Bytes of the stream.
  package var bytes: UInt64 = 0

  package init() {}

  package var pages: UInt64 { privatePages + sharedPages + zeroPages }

  package static func + (one: LiveRound, other: LiveRound) -> LiveRound {
    var sum = one
    sum.privatePages += other.privatePages
    sum.sharedPages += other.sharedPages
    sum.zeroPages += other.zeroPages
    sum.again += other.again
    sum.bytes += other.bytes
    return sum
  }
}

/// The epochs of a live migration: the first of them one by one, and the sum of all. A VMM may begin one
/// with each page that it sends.
package struct LiveRounds: Sendable {
  /// Largest number of epochs that are kept one by one.
  private static let limit = 1000

  /// The first epochs that were closed.
  package private(set) var closed: [LiveRound] = []
  /// Number of closed epochs beyond those.
  package private(set) var omitted = 0
  /// The epoch that was closed last; nil in the first one.
  package private(set) var last: LiveRound?
  private var sum = LiveRound()
  package var open = LiveRound()

  package init() {}

  /// Number of epochs, with the open one.
  package var count: Int { closed.count + omitted + 1 }

  /// All epochs together.
  package var total: LiveRound { sum + open }

  package mutating func close() {
    if closed.count < Self.limit { closed.append(open) } else { omitted += 1 }
    sum = sum + open
    last = open
    open = LiveRound()
  }
}
