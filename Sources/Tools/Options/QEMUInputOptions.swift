internal import ArgumentParser
internal import Errors
internal import FileIO
internal import Import

/// Where a QEMU stream lies, and what comes beside it.
struct QEMUInputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Capture of a multifd channel that belongs to the stream (may be repeated).",
      valueName: "file"),
    completion: .file())
  var channel: [String] = []

  @Option(
    help: ArgumentHelp(
      "Byte of the file at which the stream begins, as in QEMU's file:PATH,offset=N.",
      valueName: "n"))
  var offset: ByteCount?

  /// - Parameter stream: the main input.
  func validate(with stream: String) throws {
    guard ([stream] + channel).count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("Standard input can be one input only.")
    }
  }
}

extension QEMUInput {
  /// The stream that the options name in `file`.
  /// - Throws: as the same with paths.
  init(_ file: InputFile, _ options: QEMUInputOptions) throws(MigrationError) {
    try self.init(file, from: options.offset?.value ?? 0, channels: options.channel)
  }
}
