internal import Cryptography
internal import Errors
internal import PageSets
internal import SVSM
internal import Wire

/// The state that follows from the records that were written: their position and the transcript.
///
/// It judges nothing: records that break a rule are only counted.
struct RewriterBooks: ~Copyable {
  /// The sequence numbers of page records continue from the number in the last record.
  private(set) var position = RecordPosition()
  private var written: RecordTranscript?
  private let lastToken: Int
  private var tracker = PageTracker()

  /// - Parameter lastToken: number of tokens that will be written.
  init(lastToken: Int) { self.lastToken = lastToken }

  /// Whether a session has begun. Without one there is no transcript.
  var hasBegun: Bool { written != nil }
  /// Number of epochs that were closed.
  var tokens: UInt32 { position.epoch - 1 }
  var nextTokenIsLast: Bool { position.epoch >= lastToken }
  var presentPages: UInt64 { tracker.count }

  mutating func isPresent(_ gpa: UInt64) throws(MigrationError) -> Bool {
    try tracker.bits(of: gpa / Page.size64).isPresent
  }

  /// The transcript so far; all zero before a session.
  mutating func transcript() throws(MigrationError) -> [UInt8] {
    try written?.snapshot() ?? [UInt8](repeating: 0, count: SHA384.size)
  }

  mutating func begin(with session: [UInt8]) throws(MigrationError) {
    if written == nil { written = try RecordTranscript(transferData: session) }
  }

  /// - Parameter page: the first 48 bytes of a page record.
  mutating func admit(page: [UInt8]) throws(MigrationError) {
    let metadata = PageMetadata.Layout.Metadata(at: 0, of: page.span)
    let operation = PageMetadata.Operation(rawValue: metadata.operation.value)
    position.sequence = metadata.sequence.value
    position.passPage()
    if let operation { position.counts.add(operation) }
    try tracker.note(metadata.gpa.value / Page.size64, isPresent: operation != .cancel)
    try written?.append(pages: page.span)
  }

  mutating func admit(token: [UInt8]) throws(MigrationError) {
    position.beginEpoch()
    tracker.beginRound()
    try written?.append(token.span)
  }

  mutating func admit(final: [UInt8], _ kind: FinalRecord.Kind) throws(MigrationError) {
    position.final.add(kind)
    try written?.append(final.span)
  }
}
