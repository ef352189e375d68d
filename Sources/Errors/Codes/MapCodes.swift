/// The guest-physical map, page states and the machine.
extension CodeRow {
  static let maps = [
    CodeRow(
      .guestMap, .stream("6"), in: [.pages: .stream("7", rule: 8)],
      meaning: """
        the guest map is not well formed, where memory lies is not known, or an address has no \
        memory
        """,
      causes: [
        "two addresses for one place, or a range outside its block",
        "an address of a page changed",
        "a machine type whose layout is not known",
        "a QEMU stream with memory that was plugged in, which does not say where",
        "a private range without memory",
        "a name that no RAM block has, or a range beyond the block",
      ],
      remedy: """
        say where blocks lie (\(.ram), \(.notRAM), \(.below4G)), export one as it is (\(.block)), or \
        fix the bundle; in a stream: damaged or forged
        """),
    CodeRow(
      .mapSyntax, .stream("13"),
      meaning: "page-state runs are not well formed, out of order, too many or overlap",
      causes: [
        "page-states.bin was edited",
        "a source that writes runs out of order, or more than 2097152",
      ],
      remedy: "fix the bundle; in a stream: a source bug"),
    CodeRow(
      .mapDisagrees, .stream("7"), meaning: "host and SVSM disagree whether a page is private",
      causes: [
        "the host flips pages between private and shared",
        "the bundle's ranges were edited on one side only",
      ],
      remedy: "fix the host's attributes; the SVSM's page states are authoritative"),
    CodeRow(
      .mapMissingPage, .stream("14", rule: 8), in: [.ram: .stream("5")],
      meaning: "a required page is missing",
      causes: [
        "a page was dropped, with its counts mended",
        "the source lost a page",
        "shared memory that was never sent",
      ],
      remedy: "get the whole stream; else the source lost it"),
    CodeRow(
      .mapUnexpectedPage, .stream("14", rule: 8),
      meaning: "a private page in the stream is not validated in the trusted map",
      causes: ["a cancel is missing", "a source that exports what it never validated"],
      remedy: "report it to the source's developers: its map and its pages disagree"),
    CodeRow(
      .mapSharedAtPrivate, .stream("5"),
      meaning: "a record of shared memory is for a private page, or for a sealed block",
      causes: [
        "the host sends its own content for a private page",
        "a page became private, and its old shared record is still sent",
      ],
      remedy: "do not trust the host of the source; save again elsewhere"),
    CodeRow(
      .machineSyntax, .stream("8.1"),
      meaning: """
        the VMM's state of the machine is not well formed, or lacks a section, or has an \
        extra one
        """,
      causes: [
        "damage in snp-machine",
        "a section of the machine dropped or inserted",
        "a bundle that was edited",
      ],
      remedy: "the stream or bundle is damaged or edited; make it anew from the QEMU stream"),
  ]
}
