package import ArgumentParser
internal import Errors
internal import FileIO
package import Guest
internal import Import
internal import QEMUStream
internal import SEVSNP
internal import Wire

/// What a guest is given as.
package enum GuestFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  /// A folder is a bundle; a file is a QEMU stream when it begins as one, else a raw image.
  case auto
  case bundle
  case raw
  case qemu
}

/// What a raw memory image or a QEMU stream does not say of itself.
package struct RawImageArguments: ParsableArguments {
  @Option(
    name: .customLong("private"),
    help: ArgumentHelp(
      "Guest-physical memory that is private, of a raw image or QEMU stream: all, none, or "
        + "FIRST-LAST and FIRST+LENGTH, joined by commas.",
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

  /// Whether anything is given.
  var isGiven: Bool { privateRanges != nil || machine != nil || below4G != nil }

  var options: RawImageOptions {
    var options = RawImageOptions()
    if let machine { options.machine = machine }
    options.below4G = below4G?.value
    if let privateRanges { options.privateRanges = privateRanges }
    return options
  }
}

/// VMSA pages in place of what an input says of its vCPUs: `--vmsa`.
struct VMSAOption: ParsableArguments {
  @Option(
    name: .customLong("vmsa"),
    help: ArgumentHelp(
      "VMSA page of a vCPU, 4096 bytes, in place of any other (may be repeated).",
      valueName: "file"),
    completion: .file())
  var files: [String] = []

  /// The vCPUs, in order; nil when none is given.
  /// - Throws: what reading a file throws; `VCPU-SYNTAX`, naming the file.
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

extension GuestReader {
  /// Opens a guest of any kind. A QEMU stream is read to its end here, and its memory put into a file
  /// without a name.
  /// - Throws: what opening a bundle, a raw image or a QEMU stream throws; ArgumentParser's
  ///   `ValidationError` for options of another kind.
  static func open(
    _ path: String, as format: GuestFormat, _ raw: RawImageArguments, _ qemu: QEMUInputOptions,
    _ ram: RAMOptions, vcpus: [VCPUState]?,
    noting: (_ padding: UInt64, _ rest: UInt64?) -> Void, progress: (UInt64) -> Void
  ) throws -> GuestReader {
    let isBundle = format == .bundle || format == .auto && isBundle(path)
    guard !isBundle || !raw.isGiven && vcpus == nil else {
      throw ValidationError(
        "--private, --machine, --below-4g and --vmsa describe a raw image or a QEMU stream; a "
          + "bundle has them itself.")
    }
    // Opened once: what a pipe has given it does not give again.
    let file = try isBundle ? nil : InputFile(path, format == .raw ? .regular : .anyKind)
    var isStream = format == .qemu
    if format == .auto, let file {
      isStream = try qemu.isPlaced || file.holdsStream()
    }
    guard isStream || !qemu.isGiven && !ram.isGiven else {
      throw ValidationError(
        "--channel, --offset, --length, --snapshot, --ram and --not-ram are for QEMU streams.")
    }
    guard let file else { return try GuestReader(bundle: path) }
    if !isStream {
      var options = raw.options
      options.vcpus = vcpus
      return try GuestReader(rawImage: path, options)
    }
    var additions = ImportAdditions()
    additions.machine = raw.machine
    additions.below4G = raw.below4G?.value
    ram.add(to: &additions)
    additions.privateRanges = raw.privateRanges ?? GPARangeSet()
    additions.vcpus = vcpus
    let input = try QEMUInput(file, qemu)
    let importer = QEMUImport(input, additions)
    let guest = try importer.read(progress: progress)
    noting(importer.padding, input.rest)
    return guest
  }

  /// - Throws: `INPUT-KIND` for what its first bytes show to be no raw memory.
  static func refuseForeign(_ path: String) throws(MigrationError) {
    let file = try InputFile(path, .regular)
    guard let kind = try file.kind() else { return }
    throw MigrationError(
      .inputKind, "\(file.name) is not raw memory by its first bytes", at: 0,
      expected: "a guest bundle, a QEMU stream or a raw image", got: kind.name)
  }
}

/// Refuses an output that is one of the inputs, a folder one of them is in, or a file of a guest that is
/// read.
/// - Throws: `OUTPUT-SAME`.
func refuseSame(
  inputs: [String], guest: GuestReader? = nil, at folder: String? = nil, as output: String
) throws(MigrationError) {
  for input in inputs where input != "-" {
    try refuseSame(FileIdentity.ofOutput(input), as: output)
    // A bundle that is replaced takes all that is in it along.
    try refuseSame(FileIdentity.ofFolder(of: input), as: output)
  }
  guard let guest else { return }
  try refuseSame(guest.identity, as: output)
  guard let folder, GuestReader.isBundle(folder) else { return }
  let description = guest.description
  var names = [GuestBundle.manifest, GuestBundle.pageStates, GuestBundle.machineState]
  names += description.ramBlocks.indices.map(GuestBundle.ram)
  names += description.vcpus.indices.map(GuestBundle.vcpu)
  names += description.services.indices.map(GuestBundle.service)
  for name in names { try refuseSame(FileIdentity.ofOutput("\(folder)/\(name)"), as: output) }
}
