internal import Cryptography
internal import Errors
internal import SVSM
internal import Wire

/// What follows from the records that were written: sequence, epochs, counts, transcript.
///
/// It judges nothing: a rule that is broken stays broken, and is only counted.
struct RewriterBooks: ~Copyable {
  private var digest: SHA384?
  /// Page records in all.
  private(set) var pages: UInt64 = 0
  /// Sequence number of the last page record, as it says.
  private(set) var lastSequence: UInt64 = 0
  private(set) var firstSequence: UInt64 = 1
  private(set) var counts = PageCounts()
  private(set) var tokens = 0
  private let lastToken: Int
  private(set) var final = FinalCounts()
  private var tracker = PageTracker()

  init(lastToken: Int) { self.lastToken = lastToken }

  /// Whether a session began: without it there is no transcript.
  var hasBegun: Bool { digest != nil }
  var epoch: UInt32 { UInt32(tokens) + 1 }
  var nextTokenIsLast: Bool { tokens + 1 >= lastToken }
  var presentPages: UInt64 { tracker.count }

  mutating func isPresent(_ gpa: UInt64) -> Bool { tracker.bits(of: gpa).isPresent }

  /// The transcript so far; zeros before a session.
  func transcript() throws(MigrationError) -> [UInt8] {
    guard digest != nil else { return [UInt8](repeating: 0, count: 48) }
    return try digest!.snapshot()
  }

  mutating func begin(with session: [UInt8]) throws(MigrationError) {
    guard digest == nil else { return }
    var begun = try SHA384()
    try begun.update(session)
    digest = consume begun
  }

  /// - Parameter page: the first 48 bytes of a record.
  mutating func admit(page: [UInt8]) throws(MigrationError) {
    let layout = PageMetadata.recordLayout
    lastSequence = UInt64(bigEndianBytes: page[layout["sequence"]])
    let gpa = UInt64(bigEndianBytes: page[layout["gpa"]])
    let operation = PageMetadata.Operation(rawValue: page[layout["operation"].lowerBound])
    if let operation { counts.add(operation) }
    tracker.note(gpa, isPresent: operation != .cancel)
    pages += 1
    try digest?.update(page)
  }

  mutating func admit(token: [UInt8]) throws(MigrationError) {
    tokens += 1
    firstSequence = lastSequence &+ 1
    counts = PageCounts()
    tracker.beginRound()
    try digest?.update(token)
  }

  mutating func admit(final: [UInt8], _ kind: Anatomy.Kind) throws(MigrationError) {
    switch kind {
    case .vcpu: self.final.add(.vcpu)
    case .service: self.final.add(.service)
    case .secrets: self.final.add(.secrets)
    default: self.final.add(.pageStates)
    }
    try digest?.update(final)
  }
}
