/// Guests at rest.
extension CodeRow {
  static let guests = [
    CodeRow(
      .guestManifest, .bundle("2"),
      meaning: "the manifest of a guest bundle is missing, or not in the form of guest-bundle.md",
      causes: ["guest.json was edited", "a bundle of a newer version"],
      remedy: "the message names the place as a JSON pointer"),
    CodeRow(
      .guestFile, .bundle("1"),
      meaning: "a file of the bundle is missing, no regular file, or has a wrong size",
      causes: [
        "a bundle that was copied in part",
        "a file that was truncated",
        "a fifo or symbolic link in a foreign bundle",
      ],
      remedy: "restore it, or fix the manifest"),
    CodeRow(
      .guestShape, .stream("17"),
      meaning: "parts of a guest are in conflict or exceed a limit, or an address range is wrong",
      causes: [
        "ranges that overlap, or leave a hole",
        "a page state without memory, or memory without a state",
        "too many blocks, vCPUs or services, or more of all state than there is room for",
      ],
      remedy: "fix the bundle or the option"),
    CodeRow(
      .guestIncomplete, .bundle("2.1"),
      meaning: "a guest is the memory of a moment within a stream, and cannot run",
      causes: ["a bundle that svsm-mig-load made with \(.until), given as a guest to save"],
      remedy: "load the whole stream; svsm-mig-guest shows and exports an incomplete guest"),
  ]
}
