internal import Errors
internal import Wire

extension Attack {
  /// A part of the `ram` section with one record for the address of a page, directly after that
  /// page.
  static let sharedBehindPage = """
    copy footer(ram.part[0]) after page.once[?]
    insert after page.once[?] hex:0000000000000010
    insert after page.once[?] shared-record page.once[?]
    copy header(ram.part[0]) after page.once[?]
    """

  /// The same part and record, directly before the page.
  static let sharedBeforePage = """
    copy header(ram.part[0]) before page.once[?]
    insert before page.once[?] shared-record page.once[?]
    insert before page.once[?] hex:0000000000000010
    copy footer(ram.part[0]) before page.once[?]
    """

  /// Rearranged page records, tokens and shared memory.
  static let pages: [Attack] = [
    Attack(
      "replay-page", [2, 5], "a page's record over that of the next",
      "set body(page[?+1]) from body(page[?])", plain: .init([.pageSequence], [.pageSequence]),
      mended: .init([.pageSequence], [.pageSequence])),
    Attack(
      "replay-older-page", [2], "the record of an older epoch over that of a newer one",
      "set body(page.again[?]) from body(page.older[?])",
      plain: .init([.pageSequence], [.pageSequence]),
      mended: .init([.pageSequence], [.pageSequence])),
    Attack(
      "replay-older-content", [2], "tag and content of an older epoch under newer metadata",
      """
      set page.again[?].tag from page.older[?].tag
      set page.again[?].content from page.older[?].content
      """,
      plain: .init([.epochTranscript], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "relabel-older-page", [2], "an older record with the newer one's epoch and sequence",
      """
      copy page.again[?] before page.again[?] as gone
      set body(page.again[?]) from body(page.older[?])
      set page.again[?].sequence from gone.sequence
      set page.again[?].epoch from gone.epoch
      set page.again[?].operation from gone.operation
      cut gone
      """,
      plain: .init([.epochTranscript, .pageRepeated], [.pageTag]),
      mended: .init([.sealSigner, .pageRepeated], [.pageTag])),
    Attack(
      "relabel-epoch", [2], "a page that says another epoch", "add page[?].epoch 1",
      plain: .init([.pageEpoch], [.pageTag]), mended: .init([.pageEpoch], [.pageTag])),
    Attack(
      "reorder-pages", [3], "two pages in each other's place", "swap page[?] page[?+1]",
      plain: .init([.pageSequence], [.pageSequence]),
      mended: .init([.pageSequence], [.pageSequence])),
    Attack(
      "renumber-pages", [3], "the same, with the sequence numbers in order",
      """
      swap page[?] page[?+1]
      add page[?].sequence 1
      add page[?+1].sequence -1
      """,
      // The two pages are of one epoch or of two.
      plain: .init([.epochTranscript], [.pageTag]).or([.pageEpoch], [.pageTag]),
      mended: .init([.sealSigner], [.pageTag]).or([.pageEpoch], [.pageTag])),
    Attack(
      "reorder-tokens", [3], "two epoch tokens in each other's place", "swap token[?] token[?+1]",
      plain: .init([.epochOrder], [.epochTag]), mended: .init([.epochOrder], [.epochTag])),
    Attack(
      "drop-page", [4], "a page left out", "cut page[?]",
      // It is followed by another page of its epoch, or by the token.
      plain: .init([.pageSequence], [.pageSequence]).or([.epochCount], [.epochCount]),
      mended: .init([.pageSequence], [.pageSequence])
        .or([.pageSequence, .sealSigner], [.epochTag])),
    Attack(
      "drop-page-renumbered", [4], "a page left out and the next one numbered for it",
      """
      cut page[?]
      add page[?+1].sequence -1
      """,
      // The renumbered page is followed by another page or by the token, or the token came before
      // it.
      plain: .init([.pageSequence], [.pageTag]).or([.epochCount], [.pageTag])
        .or([.epochCount], [.epochCount]),
      mended: .init([.pageSequence, .sealSigner], [.pageTag])
        .or([.pageSequence, .pageOperation, .sealSigner], [.epochTag])),
    Attack(
      "drop-token", [4, 12], "an epoch token left out", "cut token[?]",
      plain: .init([.finalOrder, .pageEpoch, .epochOrder], [.finalOrder, .pageEpoch, .epochTag]),
      mended: .init([.finalOrder, .pageEpoch, .epochOrder], [.finalOrder, .pageEpoch, .epochTag])),
    Attack(
      "drop-shared-page", [4], "a page of shared memory left out", "cut ram.page[last]",
      plain: .init([.sealLength], [.sealLength]), mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "duplicate-page", [5], "a page twice", "copy page[?] after page[?]",
      plain: .init([.pageSequence], [.pageSequence]),
      mended: .init([.pageSequence], [.pageSequence])),
    Attack(
      "duplicate-page-renumbered", [5], "a page twice, the copy with a number of its own",
      """
      copy page[?] after page[?] as again
      add again.sequence 1
      """,
      plain: .init([.pageRepeated], [.pageTag]), mended: .init([.pageRepeated], [.pageTag])),
    Attack(
      "duplicate-token", [5], "an epoch token twice", "copy token[last] after token[last]",
      plain: .init([.epochOrder], [.epochOrder]), mended: .init([.epochOrder], [.epochTag])),
    Attack(
      "duplicate-shared-page", [5], "a page of shared memory twice",
      "copy ram.content[?] before ram.content[?]", plain: .init([.sealLength], [.sealLength]),
      mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "splice-page", [6], "a page of another session", "splice page[?] from second page[?]",
      plain: .init([.epochTranscript], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "splice-page-content", [6], "tag and content of another session",
      """
      set page[?].tag from second page[?].tag
      set page[?].content from second page[?].content
      """,
      plain: .init([.epochTranscript], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "splice-token", [6], "an epoch token of another session",
      "splice token[last] from second token[last]", plain: .init([.epochTranscript], [.epochTag]),
      mended: .init([.sealSigner], [.epochTag])),
    Attack(
      "cross-page-vcpu", [7], "a vCPU's ciphertext as a page's",
      """
      set page.once[?].content from vcpu[?].ciphertext+16
      set page.once[?].tag from vcpu[?].tag
      """,
      plain: .init([.epochTranscript], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "remap-page", [8], "a page at the next one's address",
      "set page.once[?].gpa from page.once[?+1].gpa",
      // The next page comes in the same epoch or in a later one.
      plain: .init([.pageRepeated, .pageOperation], [.pageTag]),
      mended: .init([.pageRepeated, .pageOperation], [.pageTag])),
    Attack(
      "remap-two-pages", [8], "two pages with each other's address",
      """
      copy page.once[?] before page.once[?] as old
      set page.once[?].gpa from page.once[?+1].gpa
      set page.once[?+1].gpa from old.gpa
      cut old
      """,
      plain: .init([.epochTranscript], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "remap-ram", [8], "RAM at another address, in the host's map",
      "add map.entry[last].gpa 4096",
      plain: .init(
        [.guestMap, .mapSharedAtPrivate, .sealChunk], [.guestMap, .mapSharedAtPrivate, .sealChunk]),
      mended: .init(
        [.guestMap, .mapSharedAtPrivate, .sealSigner],
        [.guestMap, .mapSharedAtPrivate, .sealSigner])),
    Attack(
      "page-beyond", [8], "a page beyond 52 bits", "set page[?].gpa 0010000000000000",
      plain: .init([.pageAddress], [.pageTag]), mended: .init([.pageAddress], [.pageTag])),
    Attack(
      "page-unaligned", [8], "a page at an unaligned address", "add page[?].gpa 8",
      plain: .init([.pageAddress], [.pageTag]), mended: .init([.pageAddress], [.pageTag])),
    Attack(
      "page-size", [8, 9], "a page under an RMP entry of 2 MiB", "set page[?].rmp_page_size 01",
      plain: .init([.epochTranscript], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "page-permissions", [8, 29], "a page with all permissions for VMPL3",
      "set page.once[?].vmpl_permissions 0f0f0f0f", plain: .init([.epochTranscript], [.pageTag]),
      mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "page-length", [8, 38], "a page of another length", "add page[?].length 1",
      plain: .init([.pageSize], [.pageTag]), mended: .init([.pageSize], [.pageTag])),
    Attack(
      "alias-addresses", [9], "two ranges of RAM at one address",
      "set map.entry[?+1].gpa from map.entry[?].gpa", plain: .init([.guestMap], [.guestMap]),
      mended: .init([.guestMap], [.guestMap])),
    Attack(
      "alias-memory", [9], "one place of RAM at two addresses",
      """
      set map.entry[?+1].block from map.entry[?].block
      set map.entry[?+1].offset from map.entry[?].offset
      """,
      plain: .init([.guestMap], [.guestMap]), mended: .init([.guestMap], [.guestMap])),
    Attack(
      "private-to-shared", [10], "a page in the clear instead of wrapped",
      sharedBeforePage + "\ncut page.once[?]",
      // The cases are those of "drop-page".
      plain: .init([.pageSequence], [.pageSequence]).or([.epochCount], [.epochCount]),
      mended: .init([.pageSequence], [.pageSequence])
        .or([.pageSequence, .sealSigner], [.epochTag])),
    Attack(
      "shared-over-private", [11], "the host's bytes over a private page", sharedBehindPage,
      plain: .init([.mapSharedAtPrivate], [.mapSharedAtPrivate]),
      mended: .init([.mapSharedAtPrivate], [.mapSharedAtPrivate])),
    Attack(
      "shared-before-private", [11],
      "the host's bytes at a private address, before the page", sharedBeforePage,
      plain: .init([.mapSharedAtPrivate], [.mapSharedAtPrivate]),
      mended: .init([.mapSharedAtPrivate], [.mapSharedAtPrivate])),
    Attack(
      "shared-to-private", [11], "a record under no key for a page of shared memory",
      """
      copy page[last] after page[last] as made
      add made.sequence 1
      add made.gpa 4096
      set made.content random
      """,
      plain: .init(
        [.epochCount, .guestMap, .mapSharedAtPrivate, .pageOperation, .sectionReserved], [.pageTag]),
      mended: .init(
        [.sealSigner, .guestMap, .mapSharedAtPrivate, .pageOperation, .sectionReserved], [.pageTag])
    ),
    Attack(
      "omit-cancel", [12], "a withdrawal left out", "cut page.cancel[?]",
      plain: .init([.mapSharedAtPrivate, .pageSequence], [.mapSharedAtPrivate, .pageSequence]),
      mended: .init([.mapSharedAtPrivate, .pageSequence], [.mapSharedAtPrivate, .pageSequence])),
    Attack(
      "cancel-to-migrate", [12], "a withdrawal that says migrate again",
      "set page.cancel[?].operation 02", plain: .init([.pageOperation], [.pageTag]),
      mended: .init([.pageOperation], [.pageTag])),
    Attack(
      "cancel-page", [12], "a page that says it is withdrawn",
      """
      set page[?].operation 03
      set page[?].validated 00
      set page[?].vmpl_permissions zero
      set page[?].length zero
      """,
      plain: .init([.sectionReserved], [.pageTag]), mended: .init([.sectionReserved], [.pageTag])),
    Attack(
      "oracle-operation", [34],
      "a page with impossible metadata: only without keys is it distinct from a wrong tag",
      "set page[?].operation ff", plain: .init([.pageOperation], [.pageTag]),
      mended: .init([.pageOperation], [.pageTag])),
  ]
}
