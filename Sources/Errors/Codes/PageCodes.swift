/// Private pages and epochs.
extension CodeRow {
  static let pages = [
    CodeRow(
      .pageTag, .stream("7", rule: 1),
      meaning: "a private page does not authenticate; the refusal gives no further detail",
      causes: [
        "damage in content, metadata or tag of the page",
        "a page of another session, address or epoch in its place",
        "a host that tries out changes",
      ],
      remedy:
        "get the stream again; svsm-mig-verify with \(.instance) names the pages that are bad"),
    CodeRow(
      .pageSequence, .stream("7", rule: 4),
      meaning: "a page record out of sequence: dropped, repeated, moved",
      causes: ["a page record dropped, repeated or moved by the host", "damage in the number"],
      remedy: "get the stream again, and do not trust the host that carried it"),
    CodeRow(
      .pageEpoch, .stream("7", rule: 5),
      meaning: "a page record of another epoch than the open one",
      causes: [
        "a page of an older round replayed",
        "an epoch token dropped",
        "damage in the number",
      ],
      remedy: "get the stream again, and do not trust the host that carried it"),
    CodeRow(
      .pageOperation, .stream("7", rule: 7),
      meaning: """
        an unknown operation, one that contradicts an earlier record, or a page that must not be \
        exported
        """,
      causes: [
        "a cancel left out or inserted", "a page of another round", "damage in the operation",
      ],
      remedy: "if the seal is good, report it to the source's developers; else get the stream again"
    ),
    CodeRow(
      .pageAddress, .stream("7", rule: 2),
      meaning: "a guest-physical address that is not aligned or beyond 52 bits",
      causes: ["damage in the address", "a source that does not align"],
      remedy: "if the seal is good, report it to the source's developers; else get the stream again"
    ),
    CodeRow(
      .pageSize, .stream("7", rule: 2),
      meaning: "an unknown RMP page size, or a wrong length of plaintext",
      causes: ["damage in the size", "a source with page sizes of its own"],
      remedy: "if the seal is good, report it to the source's developers; else get the stream again"
    ),
    CodeRow(
      .pagePermissions, .stream("7", rule: 2), meaning: "impossible VMPL permissions",
      causes: ["damage in the permissions", "permissions widened by the host"],
      remedy: "if the seal is good, report it to the source's developers; else get the stream again"
    ),
    CodeRow(
      .pageRepeated, .stream("7", rule: 6), meaning: "a page is repeated within an epoch",
      causes: ["a record inserted twice", "a source that sends a page twice in a round"],
      remedy: "if the seal is good, report it to the source's developers; else get the stream again"
    ),
    CodeRow(
      .pageStale, .stream("8"),
      meaning: """
        the export lacks the current content of a private page, or has a page that is no longer \
        validated
        """,
      causes: [
        "the guest ran on after the last epoch", "a host that skips pages it should export",
        "a VMM whose log of changed pages lacks some, as that of QEMU 7.2 under TCG does",
      ],
      remedy: "send what is left in one more epoch, with the guest paused"),
    CodeRow(
      .epochTag, .stream("8", rule: 1), meaning: "an epoch token does not authenticate",
      causes: [
        "damage in a token",
        "a token of another session or another epoch",
        "a token dropped: the next is checked as this one",
      ],
      remedy: "get the stream again"),
    CodeRow(
      .epochOrder, .stream("8", rule: 3),
      meaning: "a token out of order, or a page or token after the last token",
      causes: ["tokens dropped, repeated or swapped", "pages put after the last token"],
      remedy: "get the stream again, and do not trust the host that carried it"),
    CodeRow(
      .epochCount, .stream("8", rule: 4),
      meaning: "a token's counts do not add up or are not the stream's",
      causes: ["page records dropped or added", "damage in the counts"],
      remedy: "get the stream again: page-sequence shows where records are missing"),
    CodeRow(
      .epochTranscript, .stream("8", rule: 5), meaning: "a token's transcript is not the stream's",
      causes: [
        "any change of session, page metadata, tags or tokens before it",
        "damage in the transcript itself",
      ],
      remedy:
        "get the stream again: the change lies between this token and the one before it"),
    CodeRow(
      .epochMissing, .replay("1"),
      meaning: "the stream does not reach the moment that was asked for",
      causes: [
        "\(.until) with a later epoch than the stream has, or more page records than the epoch has",
        "a stream that was cut off",
      ],
      remedy: "svsm-mig-inspect shows the epochs and their page records"),
  ]
}
