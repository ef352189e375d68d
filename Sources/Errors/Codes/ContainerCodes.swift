/// The container (`Formats/stream.md`, sections 2, 3 and 15).
extension CodeRow {
  static let container = [
    CodeRow(
      .streamEmpty, .stream("2.1"), meaning: "the input is empty",
      causes: ["the program before the pipe failed", "the file was made and never written"],
      remedy: "check the program that writes it; an empty pipe is the usual cause"),
    CodeRow(
      .streamMagic, .stream("2.2"), meaning: "it does not begin with \"QEVM\"",
      causes: [
        "a compressed stream",
        "a channel's file, or a disk image, in place of the main stream",
        "damage in the first four bytes",
      ],
      remedy: """
        give a migration stream; unpack a compressed one first; where the message names \
        \(.offset), one begins there
        """),
    CodeRow(
      .streamVersion, .stream("2.2"), meaning: "QEMU stream version other than 3",
      causes: ["damage in the byte 4 to 7", "a program that is not QEMU"],
      remedy: "compare the file with its source; no other version is read"),
    CodeRow(
      .streamTruncated, .stream("2.1"),
      meaning: "the input ends inside of something, or a record's bytes end inside a field",
      causes: [
        "a copy or a migration that was cut off",
        "a length field that is damaged, so that a record seems to reach beyond the end",
      ],
      remedy: """
        get the whole file: the offset is where it ends; when it has its full size, let \
        svsm-mig-verify name the damaged chunk
        """),
    CodeRow(
      .streamTrailing, .stream("2.1"),
      meaning: "bytes after the end of the stream; after that of a plain stream, other than zero",
      causes: [
        "two files joined",
        "a volume whose old content follows the stream",
        "something appended on the way",
        """
        in a plain stream, a length in the VM description's head that was lowered: in an SNP \
        stream the seal is refused first
        """,
      ],
      remedy: "cut them off, or find out who added them; \(.length) leaves them out"),
    CodeRow(
      .streamKind, .stream("3.2"),
      meaning: """
        the first section is not that of an SNP stream; or an SNP stream, or an image of \
        libvirt, where a plain QEMU stream is needed
        """,
      causes: [
        "a plain QEMU stream given to a tool for SNP streams, or the reverse",
        "damage in the name of the first section",
      ],
      remedy: """
        use a tool that reads plain QEMU streams, or svsm-mig-save; else the tool that is for \
        SNP streams, or the stream in the image
        """),
    CodeRow(
      .configuration, .stream("2.3"),
      meaning: """
        the configuration is missing, too long, repeated, unknown, or asks for an unsupported feature \
        (pages of a size that no machine has or, of a guest, another one than 4 KiB)
        """,
      causes: [
        "QEMU saved with a capability that changes the format",
        "damage in the first section",
      ],
      remedy: "save again without these capabilities"),
    CodeRow(
      .sectionType, .stream("2.4"),
      meaning: "an unknown record type, or a record that is not allowed at its place",
      causes: [
        "damage in a type byte",
        "a length before it that was changed, so that content is read as a record",
      ],
      remedy: "run svsm-mig-verify: the damaged chunk lies at the place named or before it"),
    CodeRow(
      .sectionName, .stream("2.4"), meaning: "a name of length 0",
      causes: ["damage in the length byte of a name"],
      remedy: "get the stream again; svsm-mig-verify names the damaged chunk"),
    CodeRow(
      .sectionUnknown, .stream("3.3"), meaning: "a mandatory section is unknown",
      causes: [
        "a stream of a newer version",
        "damage in a section's name or in bit 31 of its version",
        "an end or part that was put under another id",
      ],
      remedy: "use a newer version of the tools"),
    CodeRow(
      .sectionID, .stream("2.4"),
      meaning: "an id used twice, a part of a section never opened, or too many sections",
      causes: ["a section was repeated or spliced in", "damage in an id"],
      remedy: "get the stream again; when the seal is good the source is at fault"),
    CodeRow(
      .sectionInstance, .stream("3.1"),
      meaning: "a repeated section, or an instance number that is not allowed",
      causes: ["a final record was repeated", "damage in an instance number"],
      remedy: "get the stream again; when the seal is good the source is at fault"),
    CodeRow(
      .sectionVersion, .stream("3.1"), meaning: "an unknown version of a known section",
      causes: ["a stream of a newer version", "a version that was lowered or damaged on the way"],
      remedy: "use the version of the tools that wrote it"),
    CodeRow(
      .sectionOrder, .stream("3.2"),
      meaning: """
        a section or page at a place where it is not allowed; also a plain QEMU stream where an \
        SNP stream is needed
        """,
      causes: [
        "sections were moved, dropped or inserted",
        "damage in a type byte that makes a part of a start",
      ],
      remedy: "get the stream again, or use the tool for its kind"),
    CodeRow(
      .sectionMissing, .stream("3.2", rule: 6),
      meaning: "the sections end before the commit: the migration is incomplete",
      causes: [
        "the source was killed before its commit",
        "everything after a place was cut out, and the end put back",
      ],
      remedy: "get the whole stream; the source did not finish"),
    CodeRow(
      .sectionFooter, .stream("2.4"), meaning: "a body is not followed by its own footer",
      causes: [
        "a length in the body was changed",
        "bytes were inserted or cut out",
        "damage in the footer itself",
      ],
      remedy:
        "look at the body before it: its length is not what its kind needs; get the stream again"),
    CodeRow(
      .sectionLength, .stream("17"), in: [.commit: .stream("14", rule: 7)],
      meaning: "a length that is not allowed or beyond a limit, or an end that was not found",
      causes: ["damage in a length field", "a length made huge to exhaust memory"],
      remedy: "get the stream again; no memory was allocated for that length"),
    CodeRow(
      .sectionReserved, .stream("9"),
      in: [
        .pages: .stream("7"), .epochs: .stream("8"), .commit: .stream("14", rule: 2),
        .session: .stream("4"),
      ],
      meaning: "reserved bytes or bits are not zero",
      causes: [
        "damage in reserved bytes",
        "a stream of a newer version",
        "data hidden in the stream",
      ],
      remedy: "use the version that wrote the stream; else get it again"),
    CodeRow(
      .command, .stream("2.4"),
      meaning: "a command where none is allowed, an unknown one, or one of a wrong length",
      causes: ["a command of QEMU spliced into an SNP stream", "damage in a type byte"],
      remedy: "SNP streams have none; else the stream is damaged"),
    CodeRow(
      .vmdescriptionMissing, .stream("15"),
      meaning: """
        no VM description after the seal; in a plain QEMU stream, none of a section whose \
        fields are needed
        """,
      causes: [
        "the file was cut off after the seal",
        "QEMU was told to write none: suppress-vmdesc",
      ],
      remedy: "get the whole stream; some machine types and settings of QEMU write none"),
    CodeRow(
      .vmdescriptionSyntax, .stream("15"),
      meaning: """
        the VM description is too long, describes too much, is not JSON, or lacks a value that a \
        reader needs
        """,
      causes: ["damage in the text or its length", "a text that another program wrote"],
      remedy: "the stream is damaged, or written by an unknown program"),
    CodeRow(
      .vmdescriptionMismatch, .stream("15"), meaning: "a section is not as the VM description says",
      causes: ["damage in a device's section", "a description that was edited"],
      remedy: "the stream is damaged or edited"),
    CodeRow(
      .json, .json("1"),
      meaning: """
        text that is not JSON (RFC 8259), nested too deep, of too many values, or with more than 30 \
        combining marks in a row
        """,
      causes: ["damage in the text", "a file that is not JSON"],
      remedy: "see the text at the byte offset of the message"),
  ]
}
