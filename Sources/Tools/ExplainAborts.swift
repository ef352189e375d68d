/// What is said of codes about aborts, and about loads that were interrupted.
extension Explanation {
  static let instanceRestoring = Explanation(
    meaning:
      "the destination has restored a guest whose naming was interrupted, or which is not where it was left",
    causes: [
      "a load that was killed, or whose naming failed, at its very end",
      "the guest that it left was moved or removed",
    ],
    remedy:
      "call the same load again: it ends the naming; if the guest has a name already, give that with --output; if it was taken away, it is lost"
  )

  static let instanceAborted = Explanation(
    meaning: "the destination has promised the source never to restore a guest",
    causes: ["an abort was made with svsm-mig-load --abort", "a stream that arrives late"],
    remedy: "prepare a new instance; resume the source with the abort, and save again")

  static let instanceChanged = Explanation(
    meaning: "another instance stands in the file than when the tool began",
    causes: [
      "svsm-mig-prepare --force ran meanwhile",
      "the file was moved, or a copy of another put in its place",
    ],
    remedy: "put the instance back that the session was opened with, and call again")

  static let abortSyntax = Explanation(
    meaning: "the abort is not well formed",
    causes: ["another file given as the abort", "a copy that was cut off", "damage"],
    remedy: "give the file that svsm-mig-load --abort wrote")

  static let abortPeer = Explanation(
    meaning: "the abort is of another destination than the one the source has issued its commit to",
    causes: ["the abort of another instance", "an old abort, kept from an earlier save"],
    remedy: "get the abort of the instance whose offer the source answered last")

  static let abortSession = Explanation(
    meaning: "the abort names another session than the source's last",
    causes: ["the abort was made with another stream", "an old stream was given to it"],
    remedy: "have it made for this stream, or without one")

  static let abortSignature = Explanation(
    meaning: "the abort is not signed by the key of the destination's offer, in the one form of a "
      + "signature",
    causes: [
      "damage on the way from the destination",
      "an abort that somebody made without the destination's key",
    ],
    remedy: "the abort is damaged or forged")

  static let abortState = Explanation(
    meaning: "the instance to resume has issued no commit, or is a destination",
    causes: [
      "the source was resumed already", "it never got to its commit",
      "the destination's instance given as --from",
    ],
    remedy: "nothing is to be given back; a source that is ready can save")
}
