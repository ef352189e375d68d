package import ArgumentParser
internal import Cryptography
internal import Errors
internal import FileIO
internal import Guest
internal import Import
internal import Instances
internal import Migration
internal import SEVSNP
internal import SVSM
internal import Threads
internal import Wire

/// `svsm-mig-save`: the source of a migration, which saves a guest as a stream.
package struct SaveCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-save",
    abstract: "Save a guest as a stream for one destination.",
    discussion: """
      Checks the destination's offer, and with --policy that its report shows what is demanded; \
      wraps a transport key to it, and writes the guest: private pages encrypted one by one, shared \
      pages as QEMU does, vCPUs and SVSM state at the end, sealed as a whole. The stream appears whole \
      or not at all. With --round it saves a guest at several times: each later guest is the same one \
      at a later time, and what has changed since is sent in an epoch of its own; the last is the \
      paused guest.

      With --live the guest runs in a QEMU meanwhile, of whose migration this is the command: \
      migrate "exec:svsm-mig-save - --live ... -o - > PIPE". Pages pass on as they come.

      When the guest could not be restored, --resume-after gives it back to its source: the \
      destination's svsm-mig-load --abort makes the file that it takes.
      """,
    version: Toolkit.version)

  @Argument(
    help: "Guest: a bundle (a folder), a raw memory image or a QEMU stream (a file).",
    completion: .file())
  var guest: String?

  @Option(
    help: ArgumentHelp(
      "The same guest later, in the same form: one more epoch (may be repeated).",
      valueName: "guest"),
    completion: .file())
  var round: [String] = []

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Stream to make; - is standard output.", valueName: "stream"),
    completion: .file())
  var output: String?

  @Option(
    help: ArgumentHelp("Offer of the destination, from svsm-mig-prepare.", valueName: "offer"),
    completion: .file())
  var to: String?

  @Option(
    help: ArgumentHelp(
      "Instance to save from; it serves one save. Without it a new one is made and forgotten.",
      valueName: "instance"),
    completion: .file())
  var from: String?

  @Option(
    help: ArgumentHelp(
      "Save nothing; let the instance of --from save again, by the abort that the destination signed.",
      valueName: "abort"),
    completion: .file())
  var resumeAfter: String?

  @Flag(help: "With --resume-after: accept a destination whose key comes from a seed.")
  var acceptSeeded = false

  @Option(help: "Format of the guest.")
  var inputFormat = GuestFormat.auto

  @Flag(
    help: ArgumentHelp(
      "Pass pages on as they come from a QEMU whose guest runs (migrate exec:).",
      discussion: """
        The guest is QEMU's stream, on standard input. With --memory, which then names the files behind \
        the guest's RAM (memory-backend-file with share=on), the SVSM reads private pages itself, and at \
        the end compares all of them with what was sent.
        """))
  var live = false

  @Option(
    help: ArgumentHelp("Keep a copy of the SNP stream, too.", valueName: "file"),
    completion: .file())
  var record: String?

  @Flag(help: "Send no attestation of the source, as in the original flow.")
  var oneWay = false

  @OptionGroup(title: "Raw images and QEMU streams") var raw: RawImageArguments
  @OptionGroup var vmsa: VMSAOption
  @OptionGroup(title: "QEMU streams") var qemu: QEMUInputOptions
  @OptionGroup(title: "QEMU streams") var ram: RAMOptions
  @OptionGroup var trust: TrustOptions
  @OptionGroup var revocation: RevocationOptions
  @OptionGroup var policy: PolicyOption
  @OptionGroup var trace: TraceOption
  @OptionGroup var seed: SeedOption
  @OptionGroup var jobs: JobsOption
  @OptionGroup(title: "Platform of the new source instance") var platform: PlatformOptions
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard resumeAfter == nil else {
      guard from != nil, guest == nil, output == nil, to == nil, policy.path == nil,
        revocation.listFiles.isEmpty, trace.path == nil
      else {
        throw ValidationError(
          "--resume-after takes --from, and neither a guest nor --output, --to, --policy, --crl or "
            + "--trace.")
      }
      return
    }
    guard let guest, output != nil, to != nil else {
      throw ValidationError("A save takes a guest, --output and --to.")
    }
    try validateLive(guest)
    guard !acceptSeeded else {
      throw ValidationError("--accept-seeded is for --resume-after.")
    }
    try qemu.validate(with: guest)
    guard from == nil || (platform.platform == nil && platform.chip == nil) else {
      throw ValidationError("The instance of --from has its platform already.")
    }
    guard ([to, guest] + round).count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("Only one of guests and offer can come from standard input.")
    }
    try policy.validate(
      beside: [to, guest, from] + round + qemu.files + trust.trustedFiles
        + revocation.listFiles)
    guard round.isEmpty || !qemu.isGiven else {
      throw ValidationError(
        "--channel, --memory, --offset, --length and --snapshot belong to one stream; with --round, import "
          + "the guests first.")
    }
  }

  package func execute(_ console: Console) throws {
    if let resumeAfter, let from { return try resume(from, after: resumeAfter, console) }
    guard let guest, let output, let to else { return }
    var live = live ? LiveGuest.running : nil
    do {
      try trace.refuseSame(inputs: inputs(guest, to), output: output)
      try trace.run(
        of: .source, force: outputs.force, done: "the stream is complete all the same: \(output)"
      ) { trace in try save(guest, output, to, trace, &live, console) }
    } catch let error as MigrationError {
      throw live?.consequence(of: error).map(error.adding) ?? error
    }
  }

  /// Every file that a save reads.
  private func inputs(_ guest: String, _ to: String) -> [String] {
    [guest, to] + [from, policy.path].compactMap { $0 } + round + qemu.files + vmsa.files
      + platform.files + trust.trustedFiles + revocation.listFiles
  }

  /// Stores a source as resumed after an abort, so that it can save again.
  private func resume(_ source: String, after abort: String, _ console: Console) throws {
    let token = try AbortToken(readSmallFile(abort, limit: AbortToken.Layout.size))
    try LockedInstance.with(source, waiting: console.waiting(for: source)) {
      (file) throws(MigrationError) in
      try file.store(file.instance.resumed(after: token, acceptsSeeded: acceptSeeded))
    }
    console.note("\(source) may save again: its destination will never restore the guest")
    console.noteModel()
  }

  /// What a save needs beside the guest.
  struct Parties {
    var source: InstanceFile?
    var offer: MigrationData
    var trust: Trust
  }

  private func parties(_ to: String) throws -> Parties {
    let source = try from.map { (path) throws(MigrationError) in
      try InstanceFile(reading: path, .regular)
    }
    // This is checked before an existing output is reported: the output may be this instance's
    // stream.
    try source?.instance.requireReady(as: .source)
    let offer = try MigrationData(readSmallFile(to, limit: MigrationData.maximumSize))
    return Parties(
      source: source, offer: offer, trust: try trust.load(demanding: policy.load(), revocation))
  }

  private func save(
    _ guest: String, _ output: String, _ to: String, _ trace: SessionTrace?,
    _ live: inout LiveGuest?, _ console: Console
  ) throws {
    let parties = try parties(to)
    let inputs = inputs(guest, to)
    try refuseSame(inputs: inputs, as: output)
    guard live == nil else {
      return try saveLive(
        guest, to: openOutputs(output, beside: inputs), parties, trace, &live, console)
    }
    let (files, crew) = (try openGuests(guest), jobs.crew)
    func read(
      _ index: Int, _ progress: (UInt64) -> Void
    ) throws(MigrationError) -> GuestReader {
      try self.read(files[index], isLast: index == files.count - 1, crew, console, progress)
    }
    let reading = console.startProgress("reading", total: nil)
    let reader = try read(0) { reading.update($0) }
    let rounds = files.indices.dropFirst().map { index in
      SourceVMM.Round(name: files[index].path) { () throws(MigrationError) in
        try read(index) { _ in }
      }
    }
    let outputs = try openOutputs(output, beside: inputs)
    let svsm = try svsm(
      parties, of: reader.description, reader.trustedState(),
      rounds.isEmpty ? .atRest : .compared, trace)
    let transferData = svsm.transferData
    let shared = reader.description.sharedNote
    let memory = reader.description.ramBlocks.reduce(0) { $0 + $1.size }
    // The first guest is not held while later ones are read.
    var vmm = try SourceVMM(
      guest: consume reader, rounds: rounds, svsm: svsm, output: outputs.all, crew: crew)
    let total = memory.multipliedReportingOverflow(by: UInt64(files.count)).partialValue
    let progress = console.startProgress("saving", total: total)
    var handedOver = false
    let summary = try send(&vmm, to: outputs, of: transferData, parties, &handedOver, console) {
      progress.update($0)
    }
    say(summary, outputs.stream.name, console)
    try end(outputs, shared, transferData, console)
  }

  /// What a save writes.
  struct Outputs {
    var stream: OutputFile
    var recording: Recording?

    /// Both of them.
    var all: any ByteOutput { recording.map { RecordedOutput(stream, $0) } ?? stream }
  }

  func openOutputs(
    _ output: String, beside inputs: [String]
  ) throws(MigrationError) -> Outputs {
    // The stream holds the guest's shared memory in the clear.
    Outputs(
      stream: try OutputFile(output, force: outputs.force, permissions: .private),
      recording: try Recording(
        record, force: outputs.force, inputs: inputs, outputs: [output, trace.path]))
  }

  func svsm(
    _ parties: Parties, of guest: GuestDescription, _ state: TrustedGuestState,
    _ freshness: SourceSVSM.Freshness, _ trace: SessionTrace?
  ) throws(MigrationError) -> SourceSVSM {
    let instance =
      if let source = parties.source { source.instance } else { try newInstance(for: guest) }
    return try SourceSVSM(
      instance: instance, guest: state,
      validating: parties.offer, trust: parties.trust, isMutual: !oneWay, freshness: freshness,
      random: seed.source, trace: trace)
  }

  /// Gives the recording its name, and says what there is to say after a save.
  func end(
    _ outputs: Outputs, _ shared: String?, _ transferData: TransferData, _ console: Console
  ) throws(MigrationError) {
    do throws(MigrationError) {
      try outputs.recording?.commit()
    } catch {
      throw error.adding("the guest is handed over all the same")
    }
    if let shared { console.note(shared) }
    console.noteLeftovers(of: [output, from, record].compactMap { $0 })
    if transferData.flags.contains(.seeded) {
      console.note("keys come from a seed: they are not secret")
    }
    console.noteModel()
  }

  /// Opens the files of the guest and of the same guest at the later times of `--round`, so that one that is
  /// missing is known at the start.
  private func openGuests(_ guest: String) throws -> [GuestFile] {
    let vcpus = try vmsa.vcpus()
    return try ([guest] + round).map {
      try GuestFile($0, as: inputFormat, raw, qemu, ram, vcpus: vcpus)
    }
  }

  /// Reads a guest.
  /// - Parameter isLast: whether it is the paused guest. One that a destination could not write as a bundle
  ///   is not handed over.
  private func read(
    _ file: GuestFile, isLast: Bool, _ crew: WorkCrew, _ console: Console,
    _ progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestReader {
    let guest = try file.read(
      with: crew, noting: { console.note(padding: $0, rest: $1) }, progress: progress)
    if isLast { try guest.description.requireManifest() }
    return guest
  }

  func say(_ summary: SaveSummary, _ stream: String, _ console: Console) {
    let epochs =
      summary.epochs == 1
      ? ""
      : ", \(summary.cancelledPages) withdrawn, in \(summary.epochs) epochs"
    console.note(
      "saved \(summary.privatePages) private and \(summary.sharedPages + summary.zeroPages) shared "
        + "pages (\(summary.zeroPages) of them zero)\(epochs) to \(stream), "
        + Spelled.size(summary.bytes))
  }

  /// Makes an instance for this save only, with the SEV_FEATURES of the guest's first vCPU. Its
  /// keys differ from those of an instance that `svsm-mig-prepare` makes from the same seed.
  private func newInstance(for guest: GuestDescription) throws(MigrationError) -> SVSMInstance {
    var random = seed.source
    if random.isSeeded { random = .seeded(try random.bytes(32, for: "source instance")) }
    var features = SEVFeatures.snp
    if let first = guest.vcpus.first { features = try VMSA(first.vmsa).features }
    return try SVSMInstance(
      on: platform.load(defaultChip: 1), features: features, random: random)
  }
}
