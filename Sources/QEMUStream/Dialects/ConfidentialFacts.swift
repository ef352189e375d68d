/// The facts that were read from a stream in a confidential dialect.
package struct ConfidentialFacts: Sendable {
  /// Most elements kept of each list.
  package static let listLimit = 4096

  /// The data that begin the encryption of a SEV or CSV guest.
  package struct Session: Equatable, Sendable {
    package var policy: SEVPolicy
    /// Size of the source's Diffie-Hellman certificate in bytes.
    package var certificateSize: UInt32
    /// Size of the wrapped transport keys in bytes.
    package var sessionSize: UInt32
    /// Stream offset of the policy.
    package var offset: UInt64
  }

  /// Counts of the encrypted pages.
  package struct Pages: Equatable, Sendable {
    /// Records of pages, of every kind.
    package var records: UInt64 = 0
    /// Pages that were sent and not cancelled, each counted once.
    package var distinct: UInt64 = 0
    /// Records of pages that had been sent before.
    package var again: UInt64 = 0
    /// Batches: groups of pages that firmware encrypted by one command.
    package var batches: UInt64 = 0
    /// Pages in batches that are not encrypted.
    package var shared: UInt64 = 0
    /// Records that cancel a page.
    package var cancelled: UInt64 = 0
    /// Records of pages that were not exported.
    package var skipped: UInt64 = 0
  }

  /// Pages that the guest shares with its host: the frames from `first` up to, but not including,
  /// `end`.
  package struct Region: Equatable, Sendable {
    package var first: UInt32
    package var end: UInt32
  }

  /// Encrypted state of one vCPU, or of all of them.
  package struct CPUState: Equatable, Sendable {
    /// Index of the vCPU; nil for a state of all vCPUs.
    package var index: UInt32?
    /// Size of the encrypted state in bytes.
    package var size: UInt64
    /// Stream offset of its record.
    package var offset: UInt64
  }

  /// An epoch, from its token up to the next token.
  package struct Epoch: Equatable, Sendable {
    /// The epoch's number; all ones after the start token.
    package var number: UInt32
    /// Number of bundles so far, including this token, from the token itself.
    package var totalBundles: UInt64
    /// Number of page records in the epoch.
    package var pages: UInt64 = 0
    /// Stream offset of its bundle.
    package var offset: UInt64
  }

  package init() {}

  /// Nil until a record of a dialect has been read.
  package internal(set) var dialect: ConfidentialDialect?
  package internal(set) var session: Session?
  package internal(set) var pages = Pages()
  /// The first shared regions; the number of all of them; and the number of their pages.
  package internal(set) var regions: [Region] = []
  package internal(set) var regionCount: UInt64 = 0
  package internal(set) var regionPages: UInt64 = 0
  package internal(set) var cpuStates: [CPUState] = []
  /// The first epochs, and the number of all of them.
  package internal(set) var epochs: [Epoch] = []
  package internal(set) var epochCount: UInt64 = 0
  /// Number of TDX migration bundles.
  package internal(set) var bundles: UInt64 = 0

  /// Counts a region, and keeps it if the list has room.
  mutating func note(_ region: Region) {
    regionCount += 1
    if region.end > region.first { regionPages += UInt64(region.end - region.first) }
    if regions.count < Self.listLimit { regions.append(region) }
  }

  mutating func note(_ epoch: Epoch) {
    epochCount += 1
    if epochs.count < Self.listLimit { epochs.append(epoch) }
  }

  /// Counts a page record in the current epoch.
  mutating func notePage(isNew: Bool) {
    pages.records += 1
    if isNew { pages.distinct += 1 } else { pages.again += 1 }
    notePageOfEpoch()
  }

  /// Counts a record that concerns a page in the current epoch.
  mutating func notePageOfEpoch() {
    guard epochCount == UInt64(epochs.count), !epochs.isEmpty else { return }
    epochs[epochs.count - 1].pages += 1
  }
}
