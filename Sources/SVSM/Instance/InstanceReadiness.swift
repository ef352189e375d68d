package import Errors

extension SVSMInstance {
  /// Makes sure that the instance may begin a migration.
  /// - Throws: `INSTANCE-USED`, `INSTANCE-RESTORING`, `INSTANCE-ABORTED`.
  package func requireReady(as side: Side) throws(MigrationError) {
    guard let refusal = refusal(as: side) else { return }
    throw MigrationError(
      refusal.code, refusal.what, in: .instance, at: Self.stageOffset,
      expected: side == .source ? "\(Stage.ready) or \(Stage.resumed)" : "\(Stage.ready)",
      got: "\(stage)")
  }

  /// Whether the instance has restored, or is restoring, the guest of the session that `data` begins.
  package func mayHaveRestored(_ data: TransferData) throws(MigrationError) -> Bool {
    switch state {
    case .restoring(let session, _), .imported(let session): try data.digest() == session
    case .ready, .exported, .resumed, .aborted: false
    }
  }

  /// Why the instance cannot begin a migration on `side`, and what to do about it; nil when it can.
  private func refusal(as side: Side) -> (code: ErrorCode, what: String)? {
    switch (stage, side) {
    case (.ready, _), (.resumed, .source): nil
    case (.exported, .source):
      (
        .instanceUsed,
        "this source has issued its commit and will not save again; if the guest was not restored, "
          + "ask the destination for an abort"
      )
    case (.exported, .destination), (.resumed, .destination):
      (
        .instanceUsed,
        "this instance is a source and never loads; an abort gives back the guest of a stream for it"
      )
    case (.imported, .source):
      (.instanceUsed, "this instance is a destination that has restored a guest; it does not save")
    case (.imported, .destination):
      (
        .instanceUsed,
        "this destination has restored a guest and will not load again; if it was another stream's, an "
          + "abort of this one gives its guest back"
      )
    case (.restoring, _):
      (
        .instanceRestoring,
        "this destination has restored a guest whose naming was interrupted; load again to end it"
      )
    case (.aborted, _):
      (.instanceAborted, "this destination has promised the source never to restore a guest")
    }
  }
}
