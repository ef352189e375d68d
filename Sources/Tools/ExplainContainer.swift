/// What is said of codes about the container, RAM blocks, and what stands around a QEMU stream.
extension Explanation {
  static let streamEmpty = Explanation(
    meaning: "the input has no byte",
    causes: [
      "the program before the pipe failed",
      "the file was made and never written",
    ],
    remedy: "check what was to write it; an empty pipe is the usual cause")

  static let streamMagic = Explanation(
    meaning: "it does not begin with \"QEVM\"",
    causes: [
      "a compressed stream",
      "a channel's file, or a disk image, in place of the main stream",
      "damage in the first four bytes",
    ],
    remedy: "give a migration stream; unpack a compressed one first; where the message names "
      + "--offset, one begins there")

  static let streamVersion = Explanation(
    meaning: "QEMU stream version other than 3",
    causes: [
      "damage in the byte 4 to 7",
      "a program that is not QEMU",
    ],
    remedy: "compare the file with its source; no other version is read")

  static let streamTruncated = Explanation(
    meaning: "the input ends inside of something, or a record's bytes end inside a field",
    causes: [
      "a copy or a migration that was cut off",
      "a length field that is damaged, so that a record seems to reach beyond the end",
    ],
    remedy: "get the whole file: the offset is where it ends; when it has its full size, let "
      + "svsm-mig-verify name the damaged chunk")

  static let streamTrailing = Explanation(
    meaning: "bytes behind the end of the stream",
    causes: [
      "two files joined",
      "something appended on the way",
      "in a plain stream, a length in the VM description's head that was lowered: of an SNP "
        + "stream its seal tells first",
    ],
    remedy: "cut them off, or find out who added them")

  static let streamKind = Explanation(
    meaning: "the first section shows that it is no SNP stream; or an SNP stream, or an image of "
      + "libvirt, where a plain QEMU stream is wanted",
    causes: [
      "a plain QEMU stream given to a tool for SNP streams, or the reverse",
      "damage in the name of the first section",
    ],
    remedy: "use a tool that reads plain QEMU streams, or svsm-mig-save; else the tool that is for "
      + "SNP streams, or the stream in the image")

  static let configuration = Explanation(
    meaning:
      "the configuration is missing, too long, repeated, unknown, or asks for what is not read "
      + "(mapped-ram with x-ignore-shared, pages of another size than 4 KiB)",
    causes: [
      "QEMU saved with a capability that changes the format",
      "damage in the first section",
    ],
    remedy: "save again without these capabilities")

  static let sectionType = Explanation(
    meaning: "a byte that is no record type, or a record in a place where it cannot stand",
    causes: [
      "damage in a type byte",
      "a length before it that was changed, so that content is read as a record",
    ],
    remedy: "run svsm-mig-verify: the damaged chunk lies at the place named or before it")

  static let sectionName = Explanation(
    meaning: "a name of length 0",
    causes: [
      "damage in the length byte of a name"
    ],
    remedy: "get the stream again; svsm-mig-verify names the damaged chunk")

  static let sectionUnknown = Explanation(
    meaning: "a section that must be understood and is not",
    causes: [
      "a stream of a newer version",
      "damage in a section's name or in bit 31 of its version",
      "an end or part that was put under another id",
    ],
    remedy: "use a newer version of the tools")

  static let sectionID = Explanation(
    meaning: "an id used twice, a part of a section never opened, or too many sections",
    causes: [
      "a section was repeated or spliced in",
      "damage in an id",
    ],
    remedy: "get the stream again; when the seal is good the source is at fault")

  static let sectionInstance = Explanation(
    meaning: "a section that comes twice, or an instance that cannot be",
    causes: [
      "a final record was repeated",
      "damage in an instance number",
    ],
    remedy: "get the stream again; when the seal is good the source is at fault")

  static let sectionVersion = Explanation(
    meaning: "an unknown version of a known section",
    causes: [
      "a stream of a newer version",
      "a version that was lowered or damaged on the way",
    ],
    remedy: "use the version of the tools that wrote it")

  static let sectionOrder = Explanation(
    meaning:
      "a section or page where it cannot stand; also a plain QEMU stream where an SNP stream is "
      + "wanted",
    causes: [
      "sections were moved, dropped or put in",
      "damage in a type byte that makes a part of a start",
    ],
    remedy: "get the stream again, or use the tool for its kind")

  static let sectionMissing = Explanation(
    meaning: "the sections end before the commit: what is there is not a whole migration",
    causes: [
      "the source was killed before its commit",
      "everything behind a place was cut out, and the end put back",
    ],
    remedy: "get the whole stream; the source did not finish")

  static let sectionFooter = Explanation(
    meaning: "a body is not followed by its own footer",
    causes: [
      "a length in the body was changed",
      "bytes were put in or cut out",
      "damage in the footer itself",
    ],
    remedy:
      "look at the body before it: its length is not what its kind needs; get the stream again")

  static let sectionLength = Explanation(
    meaning: "a length that cannot be or that is beyond a limit, or an end that cannot be found",
    causes: [
      "damage in a length field",
      "a length made huge to exhaust memory",
    ],
    remedy: "get the stream again; no memory was taken by that length")

  static let sectionReserved = Explanation(
    meaning: "reserved bytes or bits are not zero",
    causes: [
      "damage in bytes that mean nothing yet",
      "a stream of a newer version",
      "somebody hides data there",
    ],
    remedy: "use the version that wrote the stream; else get it again")

  static let command = Explanation(
    meaning: "a command where none is read, an unknown one, or one of a wrong length",
    causes: [
      "a command of QEMU spliced into an SNP stream",
      "damage in a type byte",
    ],
    remedy: "SNP streams have none; else the stream is damaged")

  static let vmdescriptionMissing = Explanation(
    meaning: "no VM description behind the seal; in a plain QEMU stream, none of a section whose "
      + "fields are wanted",
    causes: [
      "the file was cut off behind the seal",
      "QEMU was told to write none: suppress-vmdesc",
    ],
    remedy: "get the whole stream; some machine types and settings of QEMU write none")

  static let vmdescriptionSyntax = Explanation(
    meaning: "the VM description is too long, no JSON, or lacks what a reader needs",
    causes: [
      "damage in the text or its length",
      "a text that another program wrote",
    ],
    remedy: "the stream is damaged, or written by an unknown program")

  static let vmdescriptionMismatch = Explanation(
    meaning: "a section is not as the VM description says",
    causes: [
      "damage in a device's section",
      "a description that was edited",
    ],
    remedy: "the stream is damaged or edited")

  static let json = Explanation(
    meaning: "text that is not JSON (RFC 8259), nested too deep, or of too many values",
    causes: [
      "damage in the text",
      "a file that is not JSON",
    ],
    remedy: "the offset names the place")

  static let ramList = Explanation(
    meaning: "the block list is missing, repeated, misplaced, has an empty name or does not add up",
    causes: [
      "damage in the block list",
      "a list that was edited and does not add up any more",
    ],
    remedy: "get the stream again")

  static let ramBlock = Explanation(
    meaning:
      "a page's block that is not listed or not named, or a listed one whose name is unusable",
    causes: [
      "damage in a block's name",
      "a page of another guest spliced in",
    ],
    remedy: "get the stream again")

  static let ramFlags = Explanation(
    meaning: "a word that is no RAM record, or one that cannot stand there: an SNP stream has no "
      + "xbzrle, compression and multifd, a mapped-ram stream no pages",
    causes: [
      "damage in a word's low 12 bits",
      "QEMU saved with compression, XBZRLE or multifd, and the stream is called an SNP stream",
    ],
    remedy: "get the stream again, or save without that capability")

  static let ramOffset = Explanation(
    meaning: "a page behind the end of its block",
    causes: [
      "damage in a page's offset",
      "a block list of another guest",
    ],
    remedy: "get the stream again")

  static let ramData = Explanation(
    meaning: "a fill byte, length, encoding or content of a page record that cannot be",
    causes: [
      "damage in a fill byte or length",
      "an old QEMU that sends fill bytes other than 0",
    ],
    remedy: "get the stream again")

  static let ramMissing = Explanation(
    meaning: "pages of a RAM block never came",
    causes: [
      "multifd channels carry the pages",
      "a migration that was cancelled",
      "a page record that was changed into another's",
    ],
    remedy: "give all channels with --channel; else the source did not finish")

  static let imageHeader = Explanation(
    meaning: "the header of a libvirt image is not well formed, or of an unknown version",
    causes: [
      "damage in the header",
      "a newer libvirt",
    ],
    remedy: "the image is damaged, or written by a newer libvirt")

  static let imageFormat = Explanation(
    meaning: "the image is packed in a way that is not unpacked here",
    causes: [
      "save_image_format in qemu.conf names bzip2 or lzop",
      "xz with a dictionary of 256 MiB or more, zstd with a window above 128 MiB",
    ],
    remedy: "unpack the bytes from the offset on with the program named, and give the result")

  static let imageData = Explanation(
    meaning: "the packed bytes do not unpack",
    causes: [
      "damage in the packed part",
      "an image that was cut off",
    ],
    remedy: "the image is damaged")

  static let imagePartial = Explanation(
    meaning: "libvirt did not finish the image",
    causes: [
      "virsh save was interrupted",
      "the disk was full",
    ],
    remedy: "save the guest again; --allow-incomplete shows what is there")

  static let channelSyntax = Explanation(
    meaning:
      "a file is no multifd channel, one is given twice, or a packet in it is not well formed",
    causes: [
      "the main stream given as a channel",
      "one capture given twice",
      "a capture that began late or was cut off",
    ],
    remedy: "give the captures of the channels; else one is damaged")

  static let channelMachine = Explanation(
    meaning: "a channel is of a machine with another UUID than the stream or another channel",
    causes: [
      "captures of two guests given together",
      "damage in the first bytes of a capture",
    ],
    remedy: "give the channels that were captured with the stream")

  static let channelMethod = Explanation(
    meaning: "pages of a channel are packed by qpl, uadk or qatzip",
    causes: [
      "multifd-compression names a method that needs hardware"
    ],
    remedy: "save without that method")

  static let channelData = Explanation(
    meaning: "a packet of a channel does not unpack to its pages",
    causes: [
      "a capture that began late: zlib and zstd go on from packet to packet",
      "damage in the capture",
    ],
    remedy: "the channel is damaged, or not captured from its start")
}
