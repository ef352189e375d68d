internal import Cryptography
package import Errors
internal import Wire

extension SVSMInstance {
  /// The stage of an instance, numbered as in the instance file. An instance serves one migration.
  package enum Stage: UInt32, Sendable, CaseIterable {
    /// Nothing has happened yet.
    case ready = 0
    /// As a source, it has issued its commit.
    case exported = 1
    /// As a destination, it has restored a guest, and the guest has its final name.
    case imported = 2
    /// As a destination, it has restored a guest; the guest may or may not have its final name yet.
    case restoring = 3
    /// As a destination, it has promised never to restore a guest.
    case aborted = 4
    /// As a source, it was given its guest back: it may save again and never loads.
    case resumed = 5
  }

  /// The role of an instance in one migration.
  package enum Side: Sendable { case source, destination }

  /// The stage of an instance, with the data that it must keep in that stage.
  package enum State: Sendable, Hashable {
    case ready
    /// - Parameter session: SHA-384 of the transfer data, 48 bytes; the same in the other states.
    case exported(session: [UInt8], peer: Peer)
    /// - Parameter unnamed: where the complete guest is until it has its final name; nil when it
    ///   was written directly to where it is visible.
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

    /// The session that moved a guest, as SHA-384 of its transfer data; nil when none did.
    package var session: [UInt8]? {
      switch self {
      case .exported(let session, _), .restoring(let session, _), .imported(let session): session
      case .ready, .aborted, .resumed: nil
      }
    }
  }

  /// The destination that a source has issued its commit to. It alone can give the guest back.
  package struct Peer: Sendable, Hashable {
    /// SHA-384 of its offer: 48 bytes.
    package var offerDigest: [UInt8]
    /// P-384, uncompressed: 97 bytes.
    package var publicKey: [UInt8]
    /// The flags of its offer.
    package var flags: ProtocolFlags
  }

  /// A complete guest that waits for its final name. The code that stores the instance file chooses
  /// these values; an SVSM keeps them and does not interpret them.
  package struct UnnamedGuest: Sendable, Hashable {
    /// Distinguishes the guest from others: 16 bytes.
    package var identity: [UInt8]
    /// Where the guest is stored: 1 to `maximumPlace` bytes.
    package var place: [UInt8]
    package static let maximumPlace = 4095

    package init(identity: [UInt8], place: [UInt8]) {
      (self.identity, self.place) = (identity, place)
    }
  }

  package var stage: Stage { state.stage }

  /// This instance as a source that has issued its commit.
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

  /// This instance as a destination whose guest is about to get its final name. From this stage on
  /// it restores no other guest and issues no abort for this one.
  /// - Throws: what `requireReady` throws.
  package func restoring(
    by transferData: TransferData, unnamed: UnnamedGuest?
  ) throws(MigrationError) -> SVSMInstance {
    try requireReady(as: .destination)
    return moved(to: .restoring(session: try transferData.digest(), unnamed: unnamed))
  }

  /// This instance as a destination whose guest has its final name.
  /// - Throws: `SESSION-STATE` when no guest waits for its name.
  package func imported() throws(MigrationError) -> SVSMInstance {
    guard case .restoring(let session, _) = state else {
      throw MigrationError(
        .sessionState, "there is no interrupted load to complete", in: .instance,
        at: Self.stageOffset)
    }
    return moved(to: .imported(session: session))
  }

  /// This instance in a stage in which it can promise never to restore a session. An instance that
  /// is ready gives up for ever. Instances in other stages stay as they are, because the stored
  /// stage already implies the promise: a source never loads, and a destination that has restored
  /// one guest restores no other.
  /// - Parameter session: SHA-384 of the session's transfer data; nil for any session.
  /// - Throws: `INSTANCE-USED` or `INSTANCE-RESTORING` when it has restored that session, or has
  ///   restored any session and `session` is nil.
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

  /// This instance as a source that may save again, because the destination's token gives its guest
  /// back.
  /// - Parameter acceptsSeeded: whether to accept a destination whose key comes from a seed that
  ///   others may know.
  /// - Throws: `ABORT-STATE` when the instance has issued no commit; `ABORT-PEER`, `ABORT-SESSION`
  ///   or `ABORT-SIGNATURE` when the token is of another destination, of another session or not
  ///   signed by the destination; `SESSION-SEEDED`.
  package func resumed(
    after token: AbortToken, acceptsSeeded: Bool
  ) throws(MigrationError) -> SVSMInstance {
    guard case .exported(let session, let peer) = state else {
      throw MigrationError(
        .abortState, "this instance has issued no commit: there is nothing to give back",
        in: .instance, at: Self.stageOffset, expected: "\(Stage.exported)", got: "\(stage)")
    }
    // The key is the destination. Its offer may have changed on the way, where no check of this source
    // reaches: then its own abort must still give the guest back.
    let isSigned = try token.isSigned(by: peer.publicKey)
    guard isSigned || token.offerDigest == peer.offerDigest else {
      throw AbortToken.refusal(.abortPeer, "abort is of another destination", \.offerDigest)
    }
    guard token.session.map({ $0 == session }) ?? true else {
      throw AbortToken.refusal(.abortSession, "abort is of another session", \.session)
    }
    guard isSigned else {
      throw AbortToken.refusal(.abortSignature, "signature of the abort is wrong", \.signatureR)
    }
    guard acceptsSeeded || !peer.flags.contains(.seeded) else {
      throw MigrationError(
        .sessionSeeded, "the destination's key comes from a seed: others can sign this abort",
        in: .abort)
    }
    return moved(to: .resumed(giver: peer.publicKey))
  }

  /// The abort token of an instance that has given up a session.
  /// - Parameter session: SHA-384 of the transfer data that the token names; nil for any session.
  /// - Throws: what `giving(up:)` throws; `SESSION-STATE` when the instance has not given up yet.
  package func abortToken(naming session: [UInt8]?) throws(MigrationError) -> AbortToken {
    guard try giving(up: session).state == state else {
      throw MigrationError(
        .sessionState, "instance has not given up the migration", in: .instance,
        at: Self.stageOffset)
    }
    return try AbortToken(
      offerDigest: offer.digest(), session: session, sign: sign)
  }

  /// Makes sure, as far as a source can know, that the destination of `offer` can restore what is
  /// saved for it.
  /// - Throws: `OFFER-USED` for this instance's own offer, and for the offer of the destination
  ///   that gave this source its guest back: neither instance ever loads.
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
  /// SHA-384 of the payload's bytes, by which instances and abort tokens identify a session.
  package func digest() throws(MigrationError) -> [UInt8] { try SHA384.hash(encoded) }
}
