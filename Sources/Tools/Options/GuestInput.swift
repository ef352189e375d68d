package import ArgumentParser
internal import Errors
internal import FileIO
package import Guest
internal import Import
internal import QEMUStream
internal import SEVSNP
internal import Threads
internal import Wire

/// The format of a guest input.
package enum GuestFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  /// A folder is a bundle; a file is a QEMU stream if it begins like one, else a raw image.
  case auto
  case bundle
  case raw
  case qemu
}

/// Facts that a raw memory image or a QEMU stream does not contain.
package struct RawImageArguments: ParsableArguments {
  @Option(
    name: .customLong("private"),
    help: ArgumentHelp(
      "Guest-physical memory that is private, of a raw image or QEMU stream: all, none, or "
        + "FIRST-LAST and FIRST+LENGTH, joined by commas. None by default.",
      valueName: "ranges"))
  package var privateRanges: GPARangeSet?

  @Option(
    help: ArgumentHelp(
      "Machine type, which decides where memory lies; a QEMU stream names its own.",
      valueName: "name"))
  package var machine: String?

  @Option(
    name: .customLong("below-4g"),
    help: ArgumentHelp(
      "QEMU's max-ram-below-4g, where it was given: most memory below the hole at 4 GiB.",
      valueName: "size"))
  package var below4G: ByteCount?

  package init() {}

  /// Whether any of these options is given.
  var isGiven: Bool { privateRanges != nil || machine != nil || below4G != nil }

  var options: RawImageOptions {
    var options = RawImageOptions()
    if let machine { options.machine = machine }
    options.below4G = below4G?.value
    if let privateRanges { options.privateRanges = privateRanges }
    return options
  }
}

/// The option `--vmsa`: VMSA pages that replace the vCPU states of an input.
struct VMSAOption: ParsableArguments {
  @Option(
    name: .customLong("vmsa"),
    help: ArgumentHelp(
      "VMSA page of a vCPU, 4096 bytes, in place of any other (may be repeated).",
      valueName: "file"),
    completion: .file())
  var files: [String] = []

  /// The vCPUs, in order; nil when the option is not given.
  /// - Throws: the errors of reading a file; `VCPU-SYNTAX`, naming the file.
  func vcpus() throws(MigrationError) -> [VCPUState]? {
    var given: [VCPUState] = []
    for (index, path) in files.enumerated() {
      let vmsa: VMSA
      do {
        vmsa = try VMSA(readSmallFile(path, limit: VMSA.Layout.size))
      } catch {
        throw error.within(.file(path))
      }
      given.append(
        try VCPUState(apicID: UInt32(index), vmpl: vmsa.vmpl, vmsa: vmsa.bytes))
    }
    return given.isEmpty ? nil : given
  }
}

/// A guest of any kind that can be read. Its file is open, since bytes that were read from a pipe cannot be read
/// again; of its content only what tells the kind has been read.
struct GuestFile {
  private enum Content {
    case bundle
    case raw(RawImageOptions)
    case stream(InputFile, QEMUInputOptions, ImportAdditions)
  }

  let path: String
  private let content: Content

  /// - Throws: the errors of opening a file; ArgumentParser's `ValidationError` for options that belong to
  ///   another kind.
  init(
    _ path: String, as format: GuestFormat, _ raw: RawImageArguments, _ qemu: QEMUInputOptions,
    _ ram: RAMOptions, vcpus: [VCPUState]?
  ) throws {
    self.path = path
    let isBundle = format == .bundle || format == .auto && GuestReader.isBundle(path)
    guard !isBundle || !raw.isGiven && vcpus == nil else {
      throw ValidationError(
        "--private, --machine, --below-4g and --vmsa describe a raw image or a QEMU stream; a "
          + "bundle has them itself.")
    }
    let file = try isBundle ? nil : InputFile(path, format == .raw ? .regular : .anyKind)
    var isStream = format == .qemu
    if format == .auto, let file {
      isStream = try qemu.isPlaced || file.holdsStream()
    }
    guard isStream || !qemu.isGiven && !ram.isGiven else {
      throw ValidationError(
        "--channel, --memory, --offset, --length, --snapshot, --ram and --not-ram are for QEMU streams."
      )
    }
    guard let file else {
      content = .bundle
      return
    }
    guard isStream else {
      var options = raw.options
      options.vcpus = vcpus
      content = .raw(options)
      return
    }
    var additions = ImportAdditions()
    additions.machine = raw.machine
    additions.below4G = raw.below4G?.value
    ram.add(to: &additions)
    additions.privateRanges = raw.privateRanges ?? GPARangeSet()
    additions.vcpus = vcpus
    content = .stream(file, qemu, additions)
  }

  /// Reads the guest. A QEMU stream is read to its end, and its memory is written to a temporary file
  /// without a name.
  /// - Throws: the errors of reading a bundle, a raw image or a QEMU stream.
  func read(
    with crew: WorkCrew, noting: (_ padding: UInt64, _ rest: UInt64?) -> Void,
    progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestReader {
    switch content {
    case .bundle: return try GuestReader(bundle: path)
    case .raw(let options): return try GuestReader(rawImage: path, options)
    case .stream(let file, let qemu, let additions):
      let input = try QEMUInput(file, qemu)
      let importer = QEMUImport(input, additions, crew: crew)
      let guest = try importer.read(progress: progress)
      noting(importer.padding, input.rest)
      return guest
    }
  }
}

extension GuestReader {
  /// Refuses a stream or any other file of a known kind as a raw image: its bytes would be taken for guest
  /// memory.
  /// - Throws: `INPUT-KIND` for a file whose first bytes show that it is not raw memory.
  static func refuseForeign(_ path: String) throws(MigrationError) {
    let file = try InputFile(path, .regular)
    guard let kind = try file.kind() else { return }
    throw MigrationError(
      .inputKind, "\(file.name) is not raw memory by its first bytes", at: 0,
      expected: "a guest bundle, a QEMU stream or a raw image", got: kind.name)
  }
}

/// Refuses an output that is one of the inputs, a folder that holds an input, or a file of a bundle among the
/// inputs.
/// - Parameter inputs: files and bundles, which need not have been opened; "-" is standard input.
/// - Throws: `OUTPUT-SAME`.
func refuseSame(inputs: [String], as output: String) throws(MigrationError) {
  guard FileIdentity.ofOutput(output) != nil else { return }
  for input in inputs {
    try refuseSame(FileIdentity.ofInput(input), as: output)
    guard input != "-" else { continue }
    // Replacing a bundle deletes all files in its folder.
    try refuseSame(FileIdentity.ofFolder(of: input), as: output)
    guard GuestReader.isBundle(input) else { continue }
    for name in GuestBundle.files(of: input) {
      try refuseSame(FileIdentity.ofInput("\(input)/\(name)"), as: output)
    }
  }
}
