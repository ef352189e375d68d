internal import Cryptography
internal import Errors

/// What opens the records of a session, and the final state that was in them.
struct JudgeKeys: ~Copyable {
  private let instance: SVSMInstance
  let session: SessionKeys
  private var opener: AEADOpener
  private var state: ImportedState
  /// Pieces of each kind that authenticated and were taken in.
  private var taken = FinalCounts()

  init(_ keys: SessionKeys, of instance: SVSMInstance) throws(MigrationError) {
    self.instance = instance
    session = keys
    opener = try keys.finalOpener()
    state = ImportedState(features: instance.features)
  }

  /// Makes what checks page tags and keeps no content.
  func tagChecks() -> () throws(MigrationError) -> PageImport {
    let session = session
    return { () throws(MigrationError) in try PageImport(session, keepsContent: false) }
  }

  /// What is in a final record; nothing when it does not authenticate.
  mutating func open(final record: Span<UInt8>) -> [UInt8] { opener.openFinal(record) ?? [] }

  /// Takes in what was in a record.
  /// - Throws: what `ImportedState` refuses.
  mutating func take(
    _ kind: FinalRecord.Kind, _ plaintext: Span<UInt8>
  ) throws(MigrationError) {
    try state.take(kind, plaintext)
    taken.add(kind)
  }

  /// Holds what was taken in against the pages that came, and each piece against the others.
  ///
  /// - Parameters:
  ///   - judged: whose commit has authenticated; the rest is filled in.
  ///   - pages: which came.
  ///   - limit: missing pages that are named at most.
  /// - Throws: `MAP-MISSING-PAGE`, `MAP-UNEXPECTED-PAGE`, `SECRETS-PAGE`, `VCPU-VMPL`.
  func finish(
    _ judged: inout JudgedCommit, _ pages: consuming PageTracker, naming limit: Int,
    at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    // What a piece that was refused would have said is not missed.
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

  /// What the instance restores of what was taken in.
  /// - Throws: `SECRETS-PAGE`.
  func restored() throws(MigrationError) -> RestoredState { try state.restored(on: instance) }
}
