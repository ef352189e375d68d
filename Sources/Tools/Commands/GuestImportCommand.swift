package import ArgumentParser
internal import Errors
internal import FileIO
internal import Guest
internal import Import
internal import QEMUStream
internal import SEVSNP

/// `svsm-mig-guest import`: makes a bundle from a guest that another program saved.
package struct GuestImportCommand: ToolCommand {
  package enum Format: String, ExpressibleByArgument, CaseIterable, Sendable {
    case auto
    case raw
    case qemu
  }

  package static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Make a guest bundle of a raw memory image or a plain QEMU stream.",
    discussion: """
      A QEMU stream gives all RAM blocks, the machine with its devices and the registers of its vCPUs. \
      Options give what it lacks: which memory is private, and the SVSM's state.
      """)

  @Argument(
    help: "Raw memory image or QEMU stream; - is standard input, for a stream.",
    completion: .file())
  var input: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Folder of the bundle to make.", valueName: "folder"),
    completion: .directory)
  var output: String

  @Option(help: "Format of the input; auto detects it by its first bytes.")
  var format = Format.auto

  @Option(
    name: .customLong("private"),
    help: ArgumentHelp(
      "Guest-physical memory that is private: all, none, or FIRST-LAST and FIRST+LENGTH, joined "
        + "by commas.",
      valueName: "ranges"))
  var privateRanges = GPARangeSet()

  @Option(
    help: ArgumentHelp("vCPUs of a raw image, all in reset state; 1 by default.", valueName: "n"))
  var vcpus: Int?

  @OptionGroup var vmsa: VMSAOption

  @Option(
    help: ArgumentHelp("State of the vTPM, as its implementation saves it.", valueName: "file"),
    completion: .file())
  var vtpm: String?

  @OptionGroup var qemu: QEMUInputOptions
  @OptionGroup var place: MapOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    try qemu.validate(with: input)
    guard vcpus == nil || vmsa.files.isEmpty else {
      throw ValidationError("--vcpus and --vmsa exclude each other.")
    }
    guard vcpus.map({ 1...GuestDescription.maximumVCPUs ~= $0 }) ?? true else {
      throw ValidationError("--vcpus takes 1 to \(GuestDescription.maximumVCPUs).")
    }
  }

  package func execute(_ console: Console) throws {
    let file = try InputFile(input, format == .raw ? .regular : .anyKind)
    try refuseSame(file.identity, as: output)
    try refuseSame(
      inputs: [input] + qemu.files + vmsa.files + [vtpm].compactMap { $0 }, as: output)
    let isStream =
      try format == .qemu
      || format == .auto && (qemu.isPlaced || file.holdsStream())
    guard !isStream || vcpus == nil else {
      throw ValidationError("--vcpus is for raw images; a QEMU stream has its vCPUs.")
    }
    guard isStream || !qemu.isGiven && !place.ram.isGiven else {
      throw ValidationError(
        "--channel, --memory, --offset, --length, --snapshot, --ram and --not-ram are for QEMU streams, "
          + "not for raw images.")
    }
    var additions = place.additions
    additions.privateRanges = privateRanges
    additions.vcpus = try givenVCPUs(isStream: isStream)
    additions.services = try services()
    let stream = isStream ? try QEMUInput(file, qemu) : nil
    let writer = try GuestWriter(output, force: outputs.force)
    let progress = console.startProgress("importing", total: stream.map(\.end) ?? file.size)
    let guest: GuestDescription
    if let stream {
      var memory: GuestBundleMemory?
      let importer = QEMUImport(stream, additions, crew: jobs.crew)
      guest = try importer.run(
        memory: { (sizes) throws(MigrationError) in
          let made = try writer.begin(blockSizes: sizes)
          memory = made
          return made
        }, progress: { progress.update($0) })
      try memory?.finish(guest)
      console.note(padding: importer.padding, rest: stream.rest)
    } else {
      guest = try RawImport(input, additions).run(into: writer) { progress.update($0) }
    }
    console.note("imported \(guest.summary) to \(output)")
    if additions.vcpus == nil { console.noteAdapted(guest) }
    if !isStream, vcpus == nil, vmsa.files.isEmpty {
      console.note("a raw image has no vCPU: one in reset state was added")
    }
    if let shared = guest.sharedNote { console.note(shared) }
    console.noteLeftovers(of: [output])
  }

  private func givenVCPUs(isStream: Bool) throws(MigrationError) -> [VCPUState]? {
    if let given = try vmsa.vcpus() { return given }
    var given: [VCPUState] = []
    if isStream { return nil }
    for index in 0..<(vcpus ?? 1) {
      var vcpu = try GuestReader.resetVCPU()
      vcpu.apicID = UInt32(index)
      given.append(vcpu)
    }
    return given
  }

  private func services() throws(MigrationError) -> [ServiceState] {
    guard let vtpm else { return [] }
    let blob = try readSmallFile(vtpm, limit: ServiceState.maximumSize)
    return [try ServiceState(kind: .vTPM, version: 1, generation: 0, blob: blob)]
  }
}
