internal import Cryptography
internal import Errors

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

  /// Compares the final state with the pages that came, and its pieces with each other.
  ///
  /// - Parameters:
  ///   - judged: the commit, which has authenticated; its other fields are set here.
  ///   - pages: the pages that came.
  ///   - limit: largest number of missing pages that are reported.
  /// - Throws: `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`, `SECRETS-PAGE`, `VCPU-VMPL`.
  func finish(
    _ judged: inout JudgedCommit, _ pages: consuming PageTracker, naming limit: Int,
    at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    // Only kinds that arrived complete are compared, so the facts of a refused piece are not
    // missed.
    for kind in FinalRecord.Kind.allCases where taken[kind] == judged.commit.final[kind] {
      judged.complete.insert(kind)
    }
    guard judged.complete.contains(.pageStates) else { return }
    judged.unnamedPages = try pages.compare(
      with: state.guest.pageStates, naming: limit, at: offset, refuse)
    let compared = FinalRecord.Kind.allCases.filter(\.row.isCompared)
    guard judged.complete.isSuperset(of: compared) else { return }
    try state.requireAgreement(at: offset, refuse: refuse)
  }

  /// The state that the instance restores from the accepted pieces.
  /// - Throws: `SECRETS-PAGE`.
  func restored() throws(MigrationError) -> RestoredState { try state.restored(on: instance) }
}
