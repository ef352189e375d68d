/// What is said of codes about offer, instance and session.
extension Explanation {
  static let offerSyntax = Explanation(
    meaning: "the offer is not well formed",
    causes: [
      "another file given as the offer",
      "damage on the way from the destination",
    ],
    remedy: "give the file that svsm-mig-prepare wrote")

  static let offerVersion = Explanation(
    meaning: "unknown version of the offer",
    causes: [
      "a destination of another version",
      "damage in the bytes 8 and 9",
    ],
    remedy: "use one version of the tools on both sides")

  static let offerSuite = Explanation(
    meaning: "algorithms other than this version's",
    causes: [
      "a destination of another version",
      "somebody between rewrites the offer",
    ],
    remedy:
      "use one version of the tools on both sides; if they agree, somebody tries to weaken the "
      + "session")

  static let offerKey = Explanation(
    meaning: "a public key that is no uncompressed point of the curve",
    causes: [
      "damage in the key",
      "an offer made to probe the source",
    ],
    remedy: "prepare the offer anew, and bring it over safely")

  static let offerUsed = Explanation(
    meaning: "nothing that is saved for this offer would ever be loaded",
    causes: [
      "the source's own offer given as the destination's",
      "the offer of the destination that gave this guest back: it has promised not to load it",
    ],
    remedy: "get the offer of a destination that is ready")

  static let instanceSyntax = Explanation(
    meaning:
      "the instance file is not well formed, its checksum is wrong, or a private key is out of "
      + "range",
    causes: [
      "another file given as the instance",
      "a copy that was cut off",
      "damage: the checksum finds any",
    ],
    remedy: "restore the file; else prepare a new instance")

  static let instanceUsed = Explanation(
    meaning: "the instance has served its migration",
    causes: [
      "the second load of one stream",
      "an offer that was used for two saves",
      "a source that has given its guest away already",
      "another run that was faster",
    ],
    remedy:
      "prepare a new instance; a source whose guest was not restored is given it back by an abort: give that stream to svsm-mig-load --abort"
  )

  static let platformSyntax = Explanation(
    meaning:
      "a part of the platform folder does not parse, or its key is not the certificate's; or no "
      + "such model chip",
    causes: [
      "a key of another certificate",
      "an encrypted key",
      "a chip number other than 0 and 1",
    ],
    remedy: "see migration-data.md, \"A platform\"")

  static let sessionSyntax = Explanation(
    meaning: "the session is not well formed",
    causes: [
      "damage in flags or lengths of the session",
      "a session that was put together by hand",
    ],
    remedy: "get the stream again; when the seal is good the source is at fault")

  static let sessionVersion = Explanation(
    meaning: "unknown version of the session or of the commit",
    causes: [
      "a source of another version",
      "a version that was lowered or damaged on the way",
    ],
    remedy: "use one version of the tools on both sides")

  static let sessionSuite = Explanation(
    meaning: "algorithms other than this version's",
    causes: [
      "a source of another version",
      "algorithms that were lowered or damaged on the way",
    ],
    remedy:
      "use one version of the tools on both sides; if they agree, somebody tries to weaken the "
      + "session")

  static let sessionRecipient = Explanation(
    meaning: "the stream was made for another destination's offer",
    causes: [
      "the wrong instance, or an instance prepared anew since the offer was sent",
      "the offer was exchanged on its way to the source",
      "damage in the digest",
    ],
    remedy: "load it with the instance whose offer the source got")

  static let sessionKey = Explanation(
    meaning: "the transport key does not unwrap",
    causes: [
      "damage in the wrapped key or the encapsulated key",
      "a session of another stream under this offer's digest",
    ],
    remedy: "verify with the seal: where it is good, give the instance of the very offer; else get "
      + "the stream again")

  static let sessionSeeded = Explanation(
    meaning: "the stream's keys come from a seed",
    causes: [
      "svsm-mig-save or svsm-mig-prepare ran with --seed"
    ],
    remedy: "for tests only: --accept-seeded")

  static let sessionOneWay = Explanation(
    meaning: "the source does not prove itself",
    causes: [
      "the source saved with --one-way",
      "somebody stripped the source's proof: the flag is gone with it",
      "a fake source",
    ],
    remedy: "save with proof, or accept it with --one-way")

  static let sessionState = Explanation(
    meaning: "a call after the session has ended: after a refusal, or after the commit",
    causes: [
      "a program goes on after a refusal",
      "the commit has come already",
    ],
    remedy: "start a new session")
}
