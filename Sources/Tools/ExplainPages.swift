/// What is said of codes about private pages, epochs and maps.
extension Explanation {
  static let pageTag = Explanation(
    meaning: "a private page does not authenticate; nothing more is said of it",
    causes: [
      "damage in content, metadata or tag of the page",
      "a page of another session, address or epoch in its place",
      "a host that tries what it gets through",
    ],
    remedy: "get the stream again; svsm-mig-verify with --instance names the pages that are bad")

  static let pageSequence = Explanation(
    meaning: "a page record out of sequence: dropped, repeated, moved",
    causes: [
      "a page record dropped, repeated or moved by the host",
      "damage in the number",
    ],
    remedy: "get the stream again, and do not trust the host that carried it")

  static let pageEpoch = Explanation(
    meaning: "a page record of another epoch than the open one",
    causes: [
      "a page of an older round replayed",
      "an epoch token dropped",
      "damage in the number",
    ],
    remedy: "get the stream again, and do not trust the host that carried it")

  static let pageOperation = Explanation(
    meaning:
      "an unknown operation, one that does not fit what came before, or a page that does not "
      + "leave",
    causes: [
      "a cancel left out or put in",
      "a page of another round",
      "damage in the operation",
    ],
    remedy: "with a good seal report it to the source's makers; else get the stream again")

  static let pageAddress = Explanation(
    meaning: "a guest-physical address that is not aligned or beyond 52 bits",
    causes: [
      "damage in the address",
      "a source that does not align",
    ],
    remedy: "with a good seal report it to the source's makers; else get the stream again")

  static let pageSize = Explanation(
    meaning: "an unknown RMP page size, or a wrong length of plaintext",
    causes: [
      "damage in the size",
      "a source with page sizes of its own",
    ],
    remedy: "with a good seal report it to the source's makers; else get the stream again")

  static let pagePermissions = Explanation(
    meaning: "VMPL permissions that cannot be",
    causes: [
      "damage in the permissions",
      "permissions widened by the host",
    ],
    remedy: "with a good seal report it to the source's makers; else get the stream again")

  static let pageRepeated = Explanation(
    meaning: "a page comes twice in one epoch",
    causes: [
      "a record put in twice",
      "a source that sends a page twice in a round",
    ],
    remedy: "with a good seal report it to the source's makers; else get the stream again")

  static let pageStale = Explanation(
    meaning:
      "not all of the guest's private memory is exported as it is now, "
      + "or a page is exported that is validated no more",
    causes: [
      "the guest ran on after the last round",
      "a host that skips pages it should export",
    ],
    remedy: "send what is left in one more epoch, with the guest paused")

  static let epochTag = Explanation(
    meaning: "an epoch token does not authenticate",
    causes: [
      "damage in a token",
      "a token of another session or another epoch",
      "a token dropped: the next is checked as this one",
    ],
    remedy: "get the stream again")

  static let epochOrder = Explanation(
    meaning: "a token out of order, or a page or token behind the last token",
    causes: [
      "tokens dropped, repeated or swapped",
      "pages put behind the last token",
    ],
    remedy: "get the stream again, and do not trust the host that carried it")

  static let epochCount = Explanation(
    meaning: "a token's counts do not add up or are not the stream's",
    causes: [
      "page records dropped or added",
      "damage in the counts",
    ],
    remedy: "get the stream again: page-sequence tells where records are missing")

  static let epochTranscript = Explanation(
    meaning: "a token's transcript is not the stream's",
    causes: [
      "any change of session, page metadata, tags or tokens before it",
      "damage in the transcript itself",
    ],
    remedy: "get the stream again: the change lies before this token and behind the one before it")

  static let machineSyntax = Explanation(
    meaning:
      "what the VMM keeps of the machine is not well formed, or a section of it is missing or "
      + "too much",
    causes: [
      "damage in snp-machine",
      "a section of the machine dropped or put in",
      "a bundle that was edited",
    ],
    remedy: "the stream or bundle is damaged or edited; make it anew from the QEMU stream")

  static let guestMap = Explanation(
    meaning:
      "the guest map is not well formed, where memory lies is not known, or an address has no memory",
    causes: [
      "two addresses for one place, or a range outside its block",
      "an address of a page changed",
      "a machine type whose layout is not known",
      "a QEMU stream with memory that was plugged in, which does not say where",
      "a private range without memory",
    ],
    remedy:
      "say where blocks lie (--ram, --not-ram, --below-4g), or fix the bundle; in a stream: damaged "
      + "or forged")

  static let mapSyntax = Explanation(
    meaning: "page-state runs are not well formed, out of order or overlap",
    causes: [
      "page-states.bin was edited",
      "a source that writes runs out of order",
    ],
    remedy: "fix the bundle; in a stream: a source bug")

  static let mapDisagrees = Explanation(
    meaning: "host and SVSM disagree whether a page is private",
    causes: [
      "the host flips pages between private and shared",
      "the bundle's ranges were edited on one side only",
    ],
    remedy: "fix the host's attributes; the SVSM's word stands")

  static let mapMissingPage = Explanation(
    meaning: "a page that must be there never came",
    causes: [
      "a page was dropped, with its counts mended",
      "the source lost a page",
      "shared memory that was never sent",
    ],
    remedy: "get the whole stream; else the source lost it")

  static let mapUnexpectedPage = Explanation(
    meaning: "a private page came that is not validated in the trusted map",
    causes: [
      "a cancel is missing",
      "a source that exports what it never validated",
    ],
    remedy: "report it to the source's makers: its map and its pages do not fit")

  static let mapSharedAtPrivate = Explanation(
    meaning: "shared content came for a private page, or for a block that is sealed",
    causes: [
      "the host sends its own content for a private page",
      "a page became private, and its old shared record is still sent",
    ],
    remedy: "do not trust the host of the source; save again elsewhere")
}
