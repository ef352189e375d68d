/// Files, and failures of the program itself.
extension CodeRow {
  static let files = [
    CodeRow(
      .inputOpen, .tools("1"), kind: .noInput, meaning: "an input cannot be opened",
      causes: ["a misspelt name", "no permission", "a file that went away", "too many open files"],
      remedy: "check name and permissions"),
    CodeRow(
      .inputKind, .tools("1"),
      meaning: """
        an input is a folder, is not a regular file where one is needed, or is longer than \
        allowed
        """,
      causes: [
        "a folder where a file is needed",
        "a pipe where a seekable file is needed",
        "a fifo in a folder of vectors or of a platform",
        "a large file where an offer or instance is needed",
      ],
      remedy: "give a file of the right kind"),
    CodeRow(
      .outputExists, .tools("1"), kind: .noOutput,
      meaning: "the output exists, and its replacement was not requested or is not allowed",
      causes: [
        "an earlier run made it",
        "a folder that is not a bundle, or has other files too",
        "a device where a file is needed",
      ],
      remedy: "give another name, or \(.replacing)"),
    CodeRow(
      .outputCreate, .tools("1"), kind: .noOutput, meaning: "an output cannot be created",
      causes: ["the folder is missing or read-only", "the disk is full"],
      remedy: "check folder, permissions and space"),
    CodeRow(
      .outputSame, .tools("1"), kind: .noOutput,
      meaning: """
        input and output, or two outputs, are one file; or the input lies in the bundle that is \
        replaced
        """,
      causes: ["one name given twice, or a link to the input"],
      remedy: "give another name"),
    CodeRow(
      .outputTerminal, .tools("1"), kind: .noOutput,
      meaning: "binary output would go to a terminal",
      causes: ["-o - without a redirection"],
      remedy: "redirect it, or name a file"),
    CodeRow(
      .readFailed, .tools("1"), kind: .failure,
      meaning: "reading failed, or a file became shorter meanwhile",
      causes: ["a failing disk", "a file that another program writes or truncates"],
      remedy: "check disk and file; the old output is kept"),
    CodeRow(
      .writeFailed, .tools("1"), kind: .failure, meaning: "writing failed: disk full, pipe closed",
      causes: ["the disk is full", "the reader of the pipe ended"],
      remedy: "make space; the old output is kept"),
    CodeRow(
      .cryptography, .tools("1"), kind: .ours, meaning: "libcrypto failed",
      causes: ["a libcrypto without the algorithms, as in a FIPS mode", "no memory"],
      remedy: "a bug in the tool or a fault of the installation: please report it"),
    CodeRow(
      .`internal`, .tools("1"), kind: .ours, meaning: "an internal error of the tool",
      causes: ["a wrong assumption in the code"],
      remedy: "a bug in the tool: please report it"),
  ]
}
