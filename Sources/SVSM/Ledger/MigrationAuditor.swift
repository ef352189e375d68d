internal import Cryptography
package import Errors
internal import Wire

/// The key owner's own diagnosis of a stream: which records authenticate, each by itself, and whether
/// what they hold would be taken in.
///
/// It is no destination: it restores nothing, advances no instance, lets no content of a page out, and
/// goes on after a failure, which a destination never does. Whoever holds the instance file could ask
/// the cipher as well; nobody else is answered (`Formats/decisions.md`, "An audit is no oracle").
package struct MigrationAuditor: ~Copyable {
  private let instance: SVSMInstance
  private let keys: SessionKeys
  private var opener: AEADOpener
  private var state: ImportedState
  /// Pieces of each kind that authenticated and were taken in.
  private var taken = FinalCounts()

  /// - Returns: nil when the transport key does not unwrap.
  package init?(
    instance: SVSMInstance, transferData: TransferData
  ) throws(MigrationError) {
    guard let keys = try SessionKeys(unwrapping: transferData, for: instance) else { return nil }
    let opener = try keys.finalOpener()
    self.instance = instance
    self.keys = keys
    self.opener = opener
    state = ImportedState(features: instance.features)
  }

  /// A check of page tags, to be used by any one thread.
  package func makePageAudit() throws(MigrationError) -> PageAudit { try PageAudit(keys) }

  /// Whether a token of 128 bytes authenticates as that of `epoch`.
  package func authenticates(
    token record: Span<UInt8>, epoch: UInt32
  ) throws(MigrationError) -> Bool {
    let size = EpochToken.authenticatedSize
    return try keys.authenticates(
      token: record.extracting(first: size), epoch: epoch,
      tag: record.extracting(droppingFirst: size))
  }

  /// Whether a commit of 144 bytes authenticates.
  package func authenticates(commit record: Span<UInt8>) throws(MigrationError) -> Bool {
    let size = CommitRecord.authenticatedSize
    return try keys.authenticates(
      commit: record.extracting(first: size), tag: record.extracting(droppingFirst: size))
  }

  /// Opens one piece of final state, and takes it in as a destination would.
  ///
  /// - Parameters:
  ///   - record: fixed part and ciphertext.
  ///   - place: where the stream has it.
  ///   - books: of the stream's records, which it is held against before its content is judged.
  ///   - refuse: takes each rule that is broken.
  /// - Throws: `FINAL-TAG`; what `FinalRecord`, `RecordLedger` and `ImportedState` refuse, with the
  ///   record's place.
  package mutating func open(
    _ record: Span<UInt8>, in place: FinalRecord.Place, _ books: inout RecordLedger,
    at offset: UInt64, refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    // A record has a byte of content at least: none says that it does not authenticate.
    var plaintext = opener.openFinal(record) ?? []
    defer { wipe(&plaintext) }
    if plaintext.isEmpty {
      try refuse(MigrationError(.finalTag, "final record does not authenticate", at: offset))
    }
    var cursor = ByteCursor(record, at: offset)
    let header = try FinalRecord(from: &cursor, in: place, refuse: refuse)
    try books.admit(
      header, header: record.extracting(first: FinalRecord.layout.size), at: offset, refuse: refuse)
    guard !plaintext.isEmpty else { return }
    do {
      try state.take(header.kind, plaintext.span)
      taken.add(header.kind)
    } catch {
      // Offsets inside the plaintext mean nothing to a reader of the stream.
      var error = error
      error.offset = offset
      try refuse(error)
    }
  }

  /// Whether as many pieces of `kind` were taken in as the commit counts.
  package func isComplete(_ kind: FinalRecord.Kind, by commit: CommitRecord) -> Bool {
    taken[kind] == commit.final[kind]
  }

  /// Holds what was taken in against the pages that came, as a destination does at the commit.
  ///
  /// - Parameters:
  ///   - commit: which has authenticated.
  ///   - books: of the stream's records.
  ///   - limit: missing pages that are named at most.
  ///   - refuse: takes each rule that is broken.
  /// - Returns: how many pages are missing beside those named.
  /// - Throws: `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`, `SECRETS-PAGE`, `VCPU-VMPL`.
  package func finish(
    _ commit: CommitRecord, _ books: inout RecordLedger, naming limit: Int, at offset: UInt64,
    refuse: MigrationError.Refusal
  ) throws(MigrationError) -> UInt64 {
    // What a piece that was refused would have said is not missed.
    guard isComplete(.pageStates, by: commit) else { return 0 }
    let more = try books.compare(
      with: state.guest.pageStates, naming: limit, at: offset, refuse: refuse)
    guard isComplete(.secrets, by: commit), isComplete(.vcpu, by: commit) else { return more }
    try state.requireAgreement(at: offset, refuse: refuse)
    return more
  }

  /// What a destination would have restored: to be held against what its host knows.
  /// - Parameter commit: which has authenticated.
  /// - Returns: nil unless every piece that the commit counts was taken in.
  package func restored(_ commit: CommitRecord) throws(MigrationError) -> RestoredState? {
    for kind in FinalRecord.Kind.allCases where !isComplete(kind, by: commit) { return nil }
    return try state.restored(on: instance)
  }
}
