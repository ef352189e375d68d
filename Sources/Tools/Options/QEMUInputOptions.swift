internal import ArgumentParser
internal import Errors
internal import FileIO
internal import Import
internal import QEMUStream

/// The options that select the part of a file that is a QEMU stream.
struct StreamPlaceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Length of the stream in the file, in bytes; what follows it is not read.",
      valueName: "n"))
  var length: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Internal snapshot of a qcow2 image whose VM state is the stream, by name or id; "
        + "svsm-mig-inspect also takes list, which shows them.",
      valueName: "snapshot"))
  var snapshot: String?

  /// The value of `--snapshot` that lists the snapshots instead of selecting one.
  static let list = "list"

  var isGiven: Bool { length != nil || snapshot != nil }

  /// - Parameter lists: whether the tool can list snapshots.
  func validate(lists: Bool) throws {
    guard length == nil || snapshot == nil else {
      throw ValidationError(
        "The length of a snapshot is known: --length and --snapshot exclude each other.")
    }
    guard lists || snapshot != Self.list else {
      throw ValidationError("--snapshot list is for svsm-mig-inspect.")
    }
  }

  /// The position of a stream that begins at byte `offset` of the file.
  func place(from offset: UInt64 = 0) -> StreamPlace {
    StreamPlace(offset: offset, length: length?.value, snapshot: snapshot)
  }
}

/// The position of a QEMU stream in its file, and the files that accompany it.
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

  @OptionGroup var part: StreamPlaceOptions

  @Option(
    help: ArgumentHelp(
      "RAM block that x-ignore-shared left out of the stream, or that a live save reads itself, and "
        + "the file that backs it (may be repeated).",
      valueName: "block=file"))
  var memory: [BlockMemoryFile] = []

  /// Whether any of these options is given. All of them apply to QEMU streams only.
  var isGiven: Bool { !files.isEmpty || isPlaced }

  /// Whether an option gives the position of the stream.
  var isPlaced: Bool { offset != nil || part.isGiven }

  /// Paths of all that comes beside the stream.
  var files: [String] { channel + memory.map(\.path) }

  /// - Parameters:
  ///   - stream: path of the main input.
  ///   - lists: whether the tool can list snapshots.
  func validate(with stream: String, lists: Bool = false) throws {
    guard ([stream] + channel).count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("Standard input can be one input only.")
    }
    try part.validate(lists: lists)
    guard offset == nil || part.snapshot == nil else {
      throw ValidationError("--offset and --snapshot exclude each other.")
    }
  }
}

/// `BLOCK=FILE`: a RAM block, and where its memory is.
struct BlockMemoryFile: ExpressibleByArgument {
  let block: SectionName
  let path: String

  init?(argument: String) {
    guard let mark = argument.firstIndex(of: "="),
      let block = SectionName(String(argument[..<mark])), mark != argument.indices.last
    else { return nil }
    (self.block, path) = (block, String(argument[argument.index(after: mark)...]))
  }
}

extension QEMUInput {
  /// The stream that the options name in `file`.
  /// - Throws: the errors of the initialiser that takes paths.
  init(_ file: InputFile, _ options: QEMUInputOptions) throws(MigrationError) {
    try self.init(
      file, at: options.part.place(from: options.offset?.value ?? 0), channels: options.channel,
      memory: options.memory.map { ($0.block, $0.path) })
  }
}
