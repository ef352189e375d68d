/// Containers around a QEMU stream, and files that accompany it.
extension CodeRow {
  static let images = [
    CodeRow(
      .imageHeader, .tools("4"),
      meaning: """
        the header of an image of libvirt or qcow2, or a table of snapshots, is not well formed or of an \
        unknown version
        """,
      causes: ["damage in the header", "a newer libvirt or QEMU", "\(.snapshot) of another file"],
      remedy: "the image is damaged, or written by a newer program"),
    CodeRow(
      .imageFormat, .tools("4"), meaning: "the image is packed in a way that is not supported",
      causes: [
        "xz with a dictionary of 256 MiB or more, zstd with a window above 128 MiB",
        "content, with the pages that its records pack, of more than 32,768 times the packed bytes",
        "lz4 with a dictionary, lzop with a filter",
        "a packed file around a stream that is packed itself, or around an image of libvirt of one",
        "such a stream in a qcow2 image whose clusters are compressed",
        "a qcow2 image that is encrypted, or whose data lie in another file",
      ],
      remedy: """
        unpack the bytes from the offset on with the program named, and give the result; of two \
        layers unpack the whole file, which removes the outer one
        """),
    CodeRow(
      .imageData, .tools("4"),
      meaning:
        "packed bytes do not unpack, or a qcow2 image has an invalid data position",
      causes: ["damage in the packed part or in a table", "an image that was cut off"],
      remedy: "the image is damaged"),
    CodeRow(
      .imagePartial, .tools("4"), meaning: "libvirt did not finish the image",
      causes: ["virsh save was interrupted", "the disk was full"],
      remedy: "save the guest again; \(.incomplete) shows or exports the part that is present"),
    CodeRow(
      .imageSnapshot, .tools("4"),
      meaning: """
        a qcow2 image has no snapshot with VM state of this name or id, or several of the name
        """,
      causes: [
        "a misspelt name", "a snapshot of the disk alone, as qemu-img makes it",
        "the image of another disk: QEMU puts the state into one",
      ],
      remedy: "\(.snapshot) list of svsm-mig-inspect shows what there is"),
    CodeRow(
      .channelSyntax, .tools("4"),
      meaning:
        "a file is not a multifd channel, one is given twice, or a packet in it is not well formed",
      causes: [
        "the main stream given as a channel",
        "one capture given twice",
        "a capture that began late or was cut off",
      ],
      remedy: "give the captures of the channels; else one is damaged"),
    CodeRow(
      .channelMachine, .tools("4"),
      meaning: "a channel is of a machine with another UUID than the stream or another channel",
      causes: ["captures of two guests given together", "damage in the first bytes of a capture"],
      remedy: "give the channels that were captured with the stream"),
    CodeRow(
      .channelMethod, .tools("4"),
      meaning: "pages of a channel are packed by a method that is not known",
      causes: ["a QEMU with a newer method", "damage in the flags of a packet"],
      remedy: "save without that method; else the channel is damaged"),
    CodeRow(
      .channelData, .tools("4"), meaning: "a packet of a channel does not unpack to its pages",
      causes: [
        "a capture that began late: zlib and zstd go on from packet to packet",
        "damage in the capture",
      ],
      remedy: "the channel is damaged, or not captured from its start"),
  ]
}
