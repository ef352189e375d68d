/// Offers, instances, sessions and aborts.
extension CodeRow {
  static let initiation = [
    CodeRow(
      .offerSyntax, .migrationData("1"), meaning: "the offer is not well formed",
      causes: ["another file given as the offer", "damage on the way from the destination"],
      remedy: "give the file that svsm-mig-prepare wrote"),
    CodeRow(
      .offerVersion, .migrationData("1"), meaning: "unknown version of the offer",
      causes: ["a destination of another version", "damage in the bytes 8 and 9"],
      remedy: "use one version of the tools on both sides"),
    CodeRow(
      .offerSuite, .migrationData("1"), meaning: "algorithms other than this version's",
      causes: ["a destination of another version", "an attacker on the way rewrites the offer"],
      remedy: """
        use one version of the tools on both sides; if they agree, an attacker tries to weaken the \
        session
        """),
    CodeRow(
      .offerKey, .migrationData("1"),
      meaning: "a public key that is not an uncompressed point of the curve",
      causes: ["damage in the key", "an offer made to probe the source"],
      remedy: "prepare the offer anew, and bring it over safely"),
    CodeRow(
      .offerUsed, .migrationData("4"),
      meaning: "a stream saved for this offer cannot be loaded",
      causes: [
        "the source's own offer given as the destination's",
        "the offer of the destination that gave this guest back: it has promised not to load it",
      ],
      remedy: "get the offer of a destination that is ready"),
    CodeRow(
      .instanceSyntax, .migrationData("3"),
      meaning: """
        the instance file is not well formed, its checksum is wrong, or a private key is out of \
        range
        """,
      causes: [
        "another file given as the instance",
        "a copy that was cut off",
        "damage: the checksum finds any",
      ],
      remedy: "restore the file; else prepare a new instance"),
    CodeRow(
      .instanceUsed, .migrationData("4"), meaning: "the instance has served its migration",
      causes: [
        "the second load of one stream",
        "an offer that was used for two saves",
        "a source that has given its guest away already",
        "another run that was faster",
      ],
      remedy: """
        prepare a new instance; a source whose guest was not restored is given it back by an \
        abort: give that stream to svsm-mig-load \(.abort)
        """),
    CodeRow(
      .platformSyntax, .migrationData("5"),
      meaning: """
        a part of the platform folder does not parse, or its key is not the certificate's; or no \
        such model chip
        """,
      causes: [
        "a key of another certificate",
        "an encrypted key",
        "a chip number other than 0 and 1",
      ],
      remedy: "see migration-data.md, \"A platform\""),
    CodeRow(
      .sessionSyntax, .stream("4"), meaning: "the session is not well formed",
      causes: [
        "damage in flags or lengths of the session",
        "a session that was put together by hand",
      ],
      remedy: "get the stream again; when the seal is good the source is at fault"),
    CodeRow(
      .sessionVersion, .stream("4"), in: [.commit: .stream("14", rule: 2)],
      meaning: "unknown version of the session or of the commit",
      causes: ["a source of another version", "a version that was lowered or damaged on the way"],
      remedy: "use one version of the tools on both sides"),
    CodeRow(
      .sessionSuite, .stream("4"), meaning: "algorithms other than this version's",
      causes: [
        "a source of another version", "algorithms that were lowered or damaged on the way",
      ],
      remedy: """
        use one version of the tools on both sides; if they agree, an attacker tries to weaken the \
        session
        """),
    CodeRow(
      .sessionRecipient, .stream("4.3", rule: 2),
      meaning: "the stream was made for another destination's offer",
      causes: [
        "the wrong instance, or an instance prepared anew since the offer was sent",
        "the offer was exchanged on its way to the source",
        "damage in the digest",
      ],
      remedy: "load it with the instance whose offer the source got"),
    CodeRow(
      .sessionKey, .stream("4.3", rule: 5), meaning: "the transport key does not unwrap",
      causes: [
        "damage in the wrapped key or the encapsulated key",
        "a session of another stream under this offer's digest",
      ],
      remedy: """
        verify with the seal: where it is good, give the instance with exactly that offer; else get \
        the stream again
        """),
    CodeRow(
      .sessionSeeded, .stream("4.3", rule: 3), meaning: "the stream's keys come from a seed",
      causes: ["svsm-mig-save or svsm-mig-prepare ran with \(.seed)"],
      remedy: "for tests only: \(.seeded)"),
    CodeRow(
      .sessionOneWay, .stream("4.3", rule: 4), meaning: "the source does not prove itself",
      causes: [
        "the source saved with \(.oneWay)",
        "an attacker removed the source's proof and its flag",
        "a fake source",
      ],
      remedy: "save with proof, or accept it with \(.oneWay)"),
    CodeRow(
      .sessionState, .stream("14"),
      meaning: "a call after the session has ended: after a refusal, or after the commit",
      causes: ["a program that continues after a refusal", "the commit was read before"],
      remedy: "start a new session"),
    CodeRow(
      .instanceRestoring, .migrationData("4"),
      meaning: """
        the destination has restored a guest whose naming was interrupted, or which is not where \
        it was left
        """,
      causes: [
        "a load that was killed, or whose naming failed, at its very end",
        "the guest that it left was moved or removed",
      ],
      remedy: """
        call the same load again: it ends the naming; if the guest has a name already, give that \
        with \(.output); if it was deleted, it is lost
        """),
    CodeRow(
      .instanceAborted, .migrationData("4"),
      meaning: "the destination has promised the source never to restore a guest",
      causes: ["an abort was made with svsm-mig-load \(.abort)", "a stream that arrives late"],
      remedy: "prepare a new instance; resume the source with the abort, and save again"),
    CodeRow(
      .instanceChanged, .migrationData("4"),
      meaning: "the instance file was replaced while the tool ran",
      causes: [
        "svsm-mig-prepare \(.replacing) ran meanwhile",
        "the file was moved, or replaced by a copy of another",
      ],
      remedy: "put the instance back that the session was opened with, and call again"),
    CodeRow(
      .abortSyntax, .migrationData("7"), meaning: "the abort is not well formed",
      causes: ["another file given as the abort", "a copy that was cut off", "damage"],
      remedy: "give the file that svsm-mig-load \(.abort) wrote"),
    CodeRow(
      .abortSignature, .migrationData("7"),
      meaning: """
        the abort is not signed by the key of the destination's offer, in the one form of a \
        signature
        """,
      causes: [
        "damage on the way from the destination",
        "an abort made without the destination's key",
      ],
      remedy: "the abort is damaged or forged"),
    CodeRow(
      .abortPeer, .migrationData("7"),
      meaning:
        "the abort is of another destination than the one the source has issued its commit to",
      causes: ["the abort of another instance", "an old abort, kept from an earlier save"],
      remedy: "get the abort of the instance whose offer the source answered last"),
    CodeRow(
      .abortSession, .migrationData("7"),
      meaning: "the abort names another session than the source's last",
      causes: ["the abort was made with another stream", "an old stream was given to it"],
      remedy: "have it made for this stream, or without one"),
    CodeRow(
      .abortState, .migrationData("7"),
      meaning: "the instance to resume has issued no commit, or is a destination",
      causes: [
        "the source was resumed already",
        "it never got to its commit",
        "the destination's instance given as \(.source)",
      ],
      remedy: "there is no guest to give back; a source that is ready can save"),
  ]
}
