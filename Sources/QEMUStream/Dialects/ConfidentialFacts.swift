/// What a stream in a confidential dialect holds, as far as it was read.
package struct ConfidentialFacts: Sendable {
  /// Elements of each list that are kept.
  package static let listLimit = 4096

  /// How the encryption of a SEV or CSV guest begins.
  package struct Session: Equatable, Sendable {
    package var policy: SEVPolicy
    /// Bytes of the source's Diffie-Hellman certificate.
    package var certificateSize: UInt32
    /// Bytes of the wrapped transport keys.
    package var sessionSize: UInt32
    /// Stream offset of the policy.
    package var offset: UInt64
  }

  /// Encrypted pages that came.
  package struct Pages: Equatable, Sendable {
    /// Records of pages, whatever they say.
    package var records: UInt64 = 0
    /// Pages that came and were not withdrawn, each counted once.
    package var distinct: UInt64 = 0
    /// Records of pages that had come before.
    package var again: UInt64 = 0
    /// Batches: groups of pages that firmware encrypted by one command.
    package var batches: UInt64 = 0
    /// Pages of batches that travel in clear.
    package var shared: UInt64 = 0
    /// Records that withdraw a page.
    package var cancelled: UInt64 = 0
    /// Records of pages that were not exported.
    package var skipped: UInt64 = 0
  }

  /// Pages that the guest shares with its host: frames from `first` up to, not including, `end`.
  package struct Region: Equatable, Sendable {
    package var first: UInt32
    package var end: UInt32
  }

  /// Encrypted state of a vCPU, or of all of them.
  package struct CPUState: Equatable, Sendable {
    /// Which vCPU; nil of a state of all.
    package var index: UInt32?
    /// Bytes of the encrypted state.
    package var size: UInt64
    /// Stream offset of its record.
    package var offset: UInt64
  }

  /// An epoch, from its token to the next one.
  package struct Epoch: Equatable, Sendable {
    /// Its number; all ones once the guest may start.
    package var number: UInt32
    /// Bundles so far, this token among them, as it says.
    package var totalBundles: UInt64
    /// Records of pages that follow it.
    package var pages: UInt64 = 0
    /// Stream offset of its bundle.
    package var offset: UInt64
  }

  package init() {}

  /// Nil until a record of a dialect came.
  package internal(set) var dialect: ConfidentialDialect?
  package internal(set) var session: Session?
  package internal(set) var pages = Pages()
  /// The first shared regions, and how many there are, with how many pages.
  package internal(set) var regions: [Region] = []
  package internal(set) var regionCount: UInt64 = 0
  package internal(set) var regionPages: UInt64 = 0
  package internal(set) var cpuStates: [CPUState] = []
  /// The first epochs, and how many there are.
  package internal(set) var epochs: [Epoch] = []
  package internal(set) var epochCount: UInt64 = 0
  /// Migration bundles of TDX.
  package internal(set) var bundles: UInt64 = 0

  /// Counts a region, and keeps it while there is room.
  mutating func note(_ region: Region) {
    regionCount += 1
    if region.end > region.first { regionPages += UInt64(region.end - region.first) }
    if regions.count < Self.listLimit { regions.append(region) }
  }

  mutating func note(_ epoch: Epoch) {
    epochCount += 1
    if epochs.count < Self.listLimit { epochs.append(epoch) }
  }

  /// Counts a page record in the epoch that runs.
  mutating func notePage(isNew: Bool) {
    pages.records += 1
    if isNew { pages.distinct += 1 } else { pages.again += 1 }
    notePageOfEpoch()
  }

  /// Counts a record that is about a page, in the epoch that runs.
  mutating func notePageOfEpoch() {
    guard epochCount == UInt64(epochs.count), !epochs.isEmpty else { return }
    epochs[epochs.count - 1].pages += 1
  }
}
