internal import Cryptography
internal import Errors
internal import SEVSNP

/// The keys that open the records of a session, and the final state from those records.
struct JudgeKeys: ~Copyable {
  private let instance: SVSMInstance
  let session: SessionKeys
  private var opener: AEADOpener
  private var state: ImportedState
  /// Pieces of each kind that authenticated and were accepted.
  private var taken = FinalCounts()

  init(_ keys: SessionKeys, of instance: SVSMInstance) throws(MigrationError) {
    self.instance = instance
    session = keys
    opener = try keys.finalOpener()
    state = ImportedState(features: instance.features)
  }

  /// Returns a factory of imports that check page tags and keep no content.
  func tagChecks() -> () throws(MigrationError) -> PageImport {
    let session = session
    return { () throws(MigrationError) in try PageImport(session, keepsContent: false) }
  }

  /// The plaintext of a final record; empty when the record does not authenticate.
  mutating func open(final record: Span<UInt8>) -> [UInt8] { opener.openFinal(record) ?? [] }

  /// Adds the plaintext of a final record to the final state.
  /// - Throws: what `ImportedState` refuses.
  mutating func take(
    _ kind: FinalRecord.Kind, _ plaintext: Span<UInt8>
  ) throws(MigrationError) {
    try state.take(kind, plaintext)
    taken.add(kind)
  }

  /// The kinds for which every piece that a commit counts was accepted.
  func complete(by commit: CommitRecord) -> Set<FinalRecord.Kind> {
    Set(FinalRecord.Kind.allCases.filter { taken[$0] == commit.final[$0] })
  }

  /// The page-state map from the accepted pieces.
  var pageStates: PageStateMap { state.guest.pageStates }

  /// Compares the pieces of final state with each other.
  /// - Parameters:
  ///   - complete: the kinds that arrived complete. Unless all that are compared did, nothing is compared,
  ///     so that the facts of a refused piece are not missed.
  ///   - offset: where the commit begins in the stream.
  /// - Throws: `SECRETS-PAGE`, `VCPU-VMPL`.
  func requireAgreement(
    of complete: Set<FinalRecord.Kind>, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    let compared = FinalRecord.Kind.allCases.filter(\.row.isCompared)
    guard complete.isSuperset(of: compared) else { return }
    try state.requireAgreement(at: offset, refuse: refuse)
  }

  /// The state that the instance restores from the accepted pieces.
  /// - Throws: `SECRETS-PAGE`.
  func restored() throws(MigrationError) -> RestoredState { try state.restored(on: instance) }
}
