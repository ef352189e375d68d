public import Bytes
internal import Cryptography

extension SVSMInstance {
  /// How far an instance has come, as the instance file numbers it. It serves one migration.
  public enum Stage: UInt32, Sendable, CaseIterable {
    /// Nothing has happened yet, or a source was given back.
    case ready = 0
    /// As a source, it has issued its commit.
    case exported = 1
    /// As a destination, it has restored a guest, which has its name.
    case imported = 2
    /// As a destination, it has restored a guest, which may have its name or not.
    case restoring = 3
    /// As a destination, it has promised never to restore a guest.
    case aborted = 4
  }

  /// How far an instance has come, with what it must remember of that.
  public enum State: Sendable, Hashable {
    case ready
    /// - Parameter session: SHA-384 of the transfer data, 48 bytes; so in the other states.
    case exported(session: [UInt8], peer: Peer)
    /// - Parameter unnamed: where the guest lies, whole; nil when it went where it is seen at once.
    case restoring(session: [UInt8], unnamed: UnnamedGuest?)
    case imported(session: [UInt8])
    case aborted

    public var stage: Stage {
      switch self {
      case .ready: .ready
      case .exported: .exported
      case .restoring: .restoring
      case .imported: .imported
      case .aborted: .aborted
      }
    }

    /// The session that moved a guest; nil when none did.
    public var session: [UInt8]? {
      switch self {
      case .exported(let session, _), .restoring(let session, _), .imported(let session): session
      case .ready, .aborted: nil
      }
    }
  }

  /// The destination a source has issued its commit to: who alone can give the guest back.
  public struct Peer: Sendable, Hashable {
    /// SHA-384 of its offer: 48 bytes.
    public var offerDigest: [UInt8]
    /// P-384, uncompressed: 97 bytes.
    public var publicKey: [UInt8]
    /// What its offer says of itself.
    public var flags: ProtocolFlags
  }

  /// A guest that is whole on the disk and waits for its name.
  public struct UnnamedGuest: Sendable, Hashable {
    /// Absolute path of its hidden name, at most `maximumPath` bytes.
    public var path: [UInt8]
    /// Number of the file or folder in its file system.
    public var inode: UInt64
    /// When it was made, in nanoseconds since 1970; 0 on a file system that does not know.
    public var birth: UInt64
    /// Bytes a path may have: those of the system, without the zero at its end.
    public static let maximumPath = 4095

    public init(path: [UInt8], inode: UInt64, birth: UInt64) {
      (self.path, self.inode, self.birth) = (path, inode, birth)
    }
  }

  public var stage: Stage { state.stage }

  /// The source after it has issued its commit.
  /// - Throws: what `requireReady` throws.
  public func exported(
    by transferData: TransferData, to offer: MigrationData
  ) throws(MigrationError) -> SVSMInstance {
    try requireReady()
    let peer = Peer(
      offerDigest: try offer.digest(), publicKey: offer.publicKey, flags: offer.flags)
    return moved(to: .exported(session: try transferData.digest(), peer: peer))
  }

  /// The destination before the guest gets its name: from here on it restores no other, and does not
  /// abort.
  /// - Throws: what `requireReady` throws.
  public func restoring(
    by transferData: TransferData, unnamed: UnnamedGuest?
  ) throws(MigrationError) -> SVSMInstance {
    try requireReady()
    return moved(to: .restoring(session: try transferData.digest(), unnamed: unnamed))
  }

  /// The destination after the guest got its name.
  /// - Throws: `SESSION-STATE` when no guest waits for one.
  public func imported() throws(MigrationError) -> SVSMInstance {
    guard case .restoring(let session, _) = state else {
      throw MigrationError(
        .sessionState, "no guest waits for its name", section: "instance", at: 12)
    }
    return moved(to: .imported(session: session))
  }

  /// The destination after it has given up for ever. It may have done so before.
  /// - Throws: `INSTANCE-USED` when it has moved a guest; `INSTANCE-RESTORING`.
  public func aborted() throws(MigrationError) -> SVSMInstance {
    if state != .aborted { try requireReady() }
    return moved(to: .aborted)
  }

  /// The source as it was before its commit, given back by the destination's token.
  /// - Parameter acceptsSeeded: whether a destination counts whose key others may know.
  /// - Throws: `ABORT-STATE` when it has issued no commit; `ABORT-PEER`, `ABORT-SESSION`,
  ///   `ABORT-SIGNATURE` when the token does not give back what it has issued; `SESSION-SEEDED`.
  public func resumed(
    after token: AbortToken, acceptsSeeded: Bool
  ) throws(MigrationError) -> SVSMInstance {
    guard case .exported(let session, let peer) = state else {
      throw MigrationError(
        .abortState, "this instance has issued no commit: there is nothing to give back",
        section: "instance", at: 12, expected: "\(Stage.exported)", got: "\(stage)")
    }
    guard token.offerDigest == peer.offerDigest else {
      throw token.refusal(.abortPeer, "abort is of another destination", "offer_digest")
    }
    guard token.session.map({ $0 == session }) ?? true else {
      throw token.refusal(.abortSession, "abort is of another session", "session")
    }
    guard try token.isSigned(by: peer.publicKey) else {
      throw token.refusal(.abortSignature, "signature of the abort is wrong", "signature_r")
    }
    guard acceptsSeeded || !peer.flags.contains(.seeded) else {
      throw MigrationError(
        .sessionSeeded, "the destination's key comes from a seed: others can sign this abort",
        section: "abort")
    }
    return moved(to: .ready)
  }

  /// The token of an instance that has given up.
  /// - Parameter transferData: the session that the token is to name, or none.
  /// - Throws: `SESSION-STATE` when it has not.
  public func abortToken(naming transferData: TransferData?) throws(MigrationError) -> AbortToken {
    guard state == .aborted else {
      throw MigrationError(.sessionState, "instance has not given up", section: "instance", at: 12)
    }
    return try AbortToken(
      offerDigest: offer.digest(), session: transferData?.digest() ?? AbortToken.noSession,
      sign: sign)
  }

  /// Makes sure that the instance may begin a migration.
  /// - Throws: `INSTANCE-USED`, `INSTANCE-RESTORING`, `INSTANCE-ABORTED`.
  public func requireReady() throws(MigrationError) {
    let refusal: (code: ErrorCode, what: String)
    switch stage {
    case .ready: return
    case .exported:
      refusal = (
        .instanceUsed,
        "this source has issued its commit and will not save again; if the guest was not restored, "
          + "ask the destination for an abort"
      )
    case .imported:
      refusal = (.instanceUsed, "this destination has restored a guest and will not load again")
    case .restoring:
      refusal = (
        .instanceRestoring,
        "this destination has restored a guest whose naming was interrupted; load again to end it"
      )
    case .aborted:
      refusal = (
        .instanceAborted, "this destination has promised the source never to restore a guest"
      )
    }
    throw MigrationError(
      refusal.code, refusal.what, section: "instance", at: 12, expected: "\(Stage.ready)",
      got: "\(stage)")
  }

  private func moved(to state: State) -> SVSMInstance {
    var next = self
    next.state = state
    return next
  }
}

extension TransferData {
  /// SHA-384 of the payload's bytes: how instances and aborts name a session.
  public func digest() throws(MigrationError) -> [UInt8] { try SHA384.hash(encoded) }
}
