internal import Cryptography
package import Errors
internal import Wire

extension SVSMInstance {
  /// How far an instance has come, as the instance file numbers it. It serves one migration.
  package enum Stage: UInt32, Sendable, CaseIterable {
    /// Nothing has happened yet.
    case ready = 0
    /// As a source, it has issued its commit.
    case exported = 1
    /// As a destination, it has restored a guest, which has its name.
    case imported = 2
    /// As a destination, it has restored a guest, which may have its name or not.
    case restoring = 3
    /// As a destination, it has promised never to restore a guest.
    case aborted = 4
    /// As a source, its guest was given back to it: it saves again, and never loads.
    case resumed = 5
  }

  /// What an instance is in one migration.
  package enum Side: Sendable { case source, destination }

  /// How far an instance has come, with what it must remember of that.
  package enum State: Sendable, Hashable {
    case ready
    /// - Parameter session: SHA-384 of the transfer data, 48 bytes; so in the other states.
    case exported(session: [UInt8], peer: Peer)
    /// - Parameter unnamed: where the guest lies, whole; nil when it went where it is seen at once.
    case restoring(session: [UInt8], unnamed: UnnamedGuest?)
    case imported(session: [UInt8])
    case aborted
    /// - Parameter giver: public key of the destination that gave the guest back, 97 bytes.
    case resumed(giver: [UInt8])

    package var stage: Stage {
      switch self {
      case .ready: .ready
      case .exported: .exported
      case .restoring: .restoring
      case .imported: .imported
      case .aborted: .aborted
      case .resumed: .resumed
      }
    }

    /// The session that moved a guest; nil when none did.
    package var session: [UInt8]? {
      switch self {
      case .exported(let session, _), .restoring(let session, _), .imported(let session): session
      case .ready, .aborted, .resumed: nil
      }
    }
  }

  /// The destination a source has issued its commit to: who alone can give the guest back.
  package struct Peer: Sendable, Hashable {
    /// SHA-384 of its offer: 48 bytes.
    package var offerDigest: [UInt8]
    /// P-384, uncompressed: 97 bytes.
    package var publicKey: [UInt8]
    /// What its offer says of itself.
    package var flags: ProtocolFlags
  }

  /// A guest that is whole and waits for its name, as whoever keeps the instance's file says where it
  /// is. An SVSM keeps the words and reads nothing of them.
  package struct UnnamedGuest: Sendable, Hashable {
    /// What tells it from others: 16 bytes.
    package var identity: [UInt8]
    /// Where it is: 1 to `maximumPlace` bytes.
    package var place: [UInt8]
    package static let maximumPlace = 4095

    package init(identity: [UInt8], place: [UInt8]) {
      (self.identity, self.place) = (identity, place)
    }
  }

  package var stage: Stage { state.stage }

  /// The source after it has issued its commit.
  /// - Throws: what `requireReady` and `requireUseful` throw.
  package func exported(
    by transferData: TransferData, to offer: MigrationData
  ) throws(MigrationError) -> SVSMInstance {
    try requireReady(as: .source)
    try requireUseful(offer)
    let peer = Peer(
      offerDigest: try offer.digest(), publicKey: offer.publicKey, flags: offer.flags)
    return moved(to: .exported(session: try transferData.digest(), peer: peer))
  }

  /// The destination before the guest gets its name: from here on it restores no other, and does not
  /// abort.
  /// - Throws: what `requireReady` throws.
  package func restoring(
    by transferData: TransferData, unnamed: UnnamedGuest?
  ) throws(MigrationError) -> SVSMInstance {
    try requireReady(as: .destination)
    return moved(to: .restoring(session: try transferData.digest(), unnamed: unnamed))
  }

  /// The destination after the guest got its name.
  /// - Throws: `SESSION-STATE` when no guest waits for one.
  package func imported() throws(MigrationError) -> SVSMInstance {
    guard case .restoring(let session, _) = state else {
      throw MigrationError(
        .sessionState, "no guest waits for its name", in: .instance, at: Self.stageOffset)
    }
    return moved(to: .imported(session: session))
  }

  /// The instance once it can promise never to restore a session: one that is ready gives up for ever.
  /// Others stay as they are, since what they have stored is that promise: who was a source once never
  /// loads, who has restored one guest restores no other.
  /// - Parameter session: SHA-384 of its transfer data; nil for whatever came.
  /// - Throws: `INSTANCE-USED`, `INSTANCE-RESTORING` when it has restored that session, or any and none
  ///   is named.
  package func giving(up session: [UInt8]?) throws(MigrationError) -> SVSMInstance {
    switch state {
    case .ready: return moved(to: .aborted)
    case .aborted, .exported, .resumed: return self
    case .restoring(let served, _), .imported(let served):
      guard let session, session != served else {
        throw MigrationError(
          stage == .imported ? .instanceUsed : .instanceRestoring,
          session == nil
            ? "this destination has restored a guest: it can give up another one only, whose stream "
              + "has to be named"
            : "this destination has restored the guest of this stream and cannot give it up",
          in: .instance, at: Self.stageOffset, got: "\(stage)")
      }
      return self
    }
  }

  /// The source as it was before its commit, given back by the destination's token.
  /// - Parameter acceptsSeeded: whether a destination counts whose key others may know.
  /// - Throws: `ABORT-STATE` when it has issued no commit; `ABORT-PEER`, `ABORT-SESSION`,
  ///   `ABORT-SIGNATURE` when the token does not give back what it has issued; `SESSION-SEEDED`.
  package func resumed(
    after token: AbortToken, acceptsSeeded: Bool
  ) throws(MigrationError) -> SVSMInstance {
    guard case .exported(let session, let peer) = state else {
      throw MigrationError(
        .abortState, "this instance has issued no commit: there is nothing to give back",
        in: .instance, at: Self.stageOffset, expected: "\(Stage.exported)", got: "\(stage)")
    }
    guard token.offerDigest == peer.offerDigest else {
      throw AbortToken.refusal(.abortPeer, "abort is of another destination", \.offerDigest)
    }
    guard token.session.map({ $0 == session }) ?? true else {
      throw AbortToken.refusal(.abortSession, "abort is of another session", \.session)
    }
    guard try token.isSigned(by: peer.publicKey) else {
      throw AbortToken.refusal(.abortSignature, "signature of the abort is wrong", \.signatureR)
    }
    guard acceptsSeeded || !peer.flags.contains(.seeded) else {
      throw MigrationError(
        .sessionSeeded, "the destination's key comes from a seed: others can sign this abort",
        in: .abort)
    }
    return moved(to: .resumed(giver: peer.publicKey))
  }

  /// The token of an instance that has given up a session.
  /// - Parameter session: SHA-384 of the transfer data that the token is to name, or none.
  /// - Throws: what `giving` throws; `SESSION-STATE` when the promise is not stored yet.
  package func abortToken(naming session: [UInt8]?) throws(MigrationError) -> AbortToken {
    guard try giving(up: session).state == state else {
      throw MigrationError(
        .sessionState, "instance has not given up", in: .instance, at: Self.stageOffset)
    }
    return try AbortToken(
      offerDigest: offer.digest(), session: session, sign: sign)
  }

  /// Makes sure that a destination can restore what is saved for it, as far as a source can know.
  /// - Throws: `OFFER-USED` for this instance's own offer, and for one of the destination that gave this
  ///   source its guest back: neither ever loads.
  package func requireUseful(_ offer: MigrationData) throws(MigrationError) {
    func refusal(_ what: String) -> MigrationError {
      MigrationError(
        .offerUsed, what, in: .offer, at: MigrationData.Layout.offset(of: \.publicKey, from: 0),
        expected: "another destination's")
    }
    guard offer.publicKey != self.offer.publicKey else {
      throw refusal("this is the source's own offer: it would never load its own guest")
    }
    guard state != .resumed(giver: offer.publicKey) else {
      throw refusal("this destination gave the guest back, and never loads it again")
    }
  }

  private func moved(to state: State) -> SVSMInstance {
    var next = self
    next.state = state
    return next
  }
}

extension TransferData {
  /// SHA-384 of the payload's bytes: how instances and aborts name a session.
  package func digest() throws(MigrationError) -> [UInt8] { try SHA384.hash(encoded) }
}
