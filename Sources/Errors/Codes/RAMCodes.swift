/// RAM blocks and shared pages.
extension CodeRow {
  static let ram = [
    CodeRow(
      .ramList, .stream("5"),
      meaning:
        "the block list is missing, repeated, misplaced, has an empty name or does not add up",
      causes: ["damage in the block list", "a list that was edited and does not add up any more"],
      remedy: "get the stream again"),
    CodeRow(
      .ramBlock, .stream("5"),
      meaning:
        "a page's block that is not listed or not named, or a listed one whose name is unusable",
      causes: ["damage in a block's name", "a page of another guest spliced in"],
      remedy: "get the stream again"),
    CodeRow(
      .ramFlags, .stream("5"),
      meaning: """
        a word that is not a RAM record, or one that is not allowed there: an SNP stream has no \
        xbzrle, compression and multifd, a mapped-ram stream no pages
        """,
      causes: [
        "damage in a word's low 12 bits",
        "QEMU saved with compression, XBZRLE or multifd, and the stream is called an SNP stream",
      ],
      remedy: "get the stream again, or save without that capability"),
    CodeRow(
      .ramOffset, .stream("5"), meaning: "a page beyond the end of its block",
      causes: ["damage in a page's offset", "a block list of another guest"],
      remedy: "get the stream again"),
    CodeRow(
      .ramData, .stream("5"),
      meaning: "a fill byte, length, encoding or content that is not allowed in a page record",
      causes: [
        "damage in a fill byte or length", "an old QEMU that sends fill bytes other than 0",
      ],
      remedy: "get the stream again"),
    CodeRow(
      .ramMissing, .tools("4"), meaning: "pages of a RAM block are missing",
      causes: [
        "multifd channels carry the pages",
        "a migration that was cancelled",
        "a page record that was changed into another's",
      ],
      remedy: """
        give all channels with \(.channel), and with \(.memory) the blocks that x-ignore-shared leaves to \
        other files; else the source did not finish, and an export with \(.incomplete) takes the pages \
        that are present
        """),
  ]
}
