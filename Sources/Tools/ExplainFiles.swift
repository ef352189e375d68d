/// What is said of codes about guests at rest, files and the tools themselves.
extension Explanation {
  static let guestManifest = Explanation(
    meaning: "the manifest of a guest bundle is missing, or not as described",
    causes: [
      "guest.json was edited",
      "a bundle of a newer version",
    ],
    remedy: "the message names the place as a JSON pointer")

  static let guestFile = Explanation(
    meaning: "a file of the bundle is missing, no regular file, or has a wrong size",
    causes: [
      "a bundle that was copied in part",
      "a file that was truncated",
      "a fifo or symbolic link in a bundle of somebody else",
    ],
    remedy: "restore it, or fix the manifest")

  static let guestShape = Explanation(
    meaning: "parts of a guest do not fit each other or a limit, or an address range is not one",
    causes: [
      "ranges that overlap, or leave a hole",
      "a page state without memory, or memory without a state",
      "too many blocks, vCPUs or services",
    ],
    remedy: "fix the bundle or the option")

  static let inputOpen = Explanation(
    meaning: "an input cannot be opened",
    causes: [
      "a misspelt name",
      "no permission",
      "a file that went away",
      "too many open files",
    ],
    remedy: "check name and permissions")

  static let inputKind = Explanation(
    meaning:
      "an input is a folder, no regular file where one is wanted, or too long for what it should be",
    causes: [
      "a folder where a file is wanted",
      "a pipe where positions are wanted",
      "a fifo in a folder of vectors or of a platform",
      "a large file where an offer or instance is wanted",
    ],
    remedy: "give a file of the right kind")

  static let outputExists = Explanation(
    meaning: "the output exists, and is not replaced unasked or not by this",
    causes: [
      "an earlier run made it",
      "a folder that is no bundle, or holds more than one",
      "a device where a file is needed",
    ],
    remedy: "give another name, or --force")

  static let outputCreate = Explanation(
    meaning: "an output cannot be created",
    causes: [
      "the folder is missing or read-only",
      "the disk is full",
    ],
    remedy: "check folder, permissions and space")

  static let outputSame = Explanation(
    meaning:
      "input and output, or two outputs, are one file; or the input lies in the bundle that is replaced",
    causes: [
      "one name given twice, or a link to the input"
    ],
    remedy: "give another name")

  static let outputTerminal = Explanation(
    meaning: "binary output would go to a terminal",
    causes: [
      "-o - without a redirection"
    ],
    remedy: "redirect it, or name a file")

  static let readFailed = Explanation(
    meaning: "reading failed, or a file became shorter meanwhile",
    causes: [
      "a failing disk",
      "a file that another program writes or truncates",
    ],
    remedy: "check disk and file; the old output stands")

  static let writeFailed = Explanation(
    meaning: "writing failed: disk full, pipe closed",
    causes: [
      "the disk is full",
      "the reader of the pipe ended",
    ],
    remedy: "make space; the old output stands")

  static let cryptography = Explanation(
    meaning: "libcrypto failed",
    causes: [
      "a libcrypto without the algorithms, as in a FIPS mode",
      "no memory",
    ],
    remedy: "a fault of ours or of the installation: please report it")

  static let `internal` = Explanation(
    meaning: "something that cannot be",
    causes: [
      "an assumption of ours that does not hold"
    ],
    remedy: "a fault of ours: please report it")
}
