package import ArgumentParser
internal import Errors
internal import FileIO
internal import Guest
internal import Import
internal import Inspection
internal import Instances
internal import JSON
internal import QEMUStream
internal import SEVSNP
internal import Wire

/// `svsm-mig-inspect`: shows what is in a stream.
package struct InspectCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-inspect",
    abstract: "Show what a migration stream holds.",
    discussion: """
      Reads an SNP migration stream or a plain QEMU stream and shows what is in it, as far as can \
      be seen without keys. Without further options it shows an overview; an option that asks for \
      a part, such as --cpus, shows this part alone. With the instance file of its destination, an \
      SNP stream is rehearsed as a load would go, nothing is restored, and vCPUs, services and page \
      states are shown too.

      It checks only what it needs to read on; svsm-mig-verify checks the rest. A damaged stream \
      is shown up to the damage; exit status 65.
      """,
    version: Toolkit.version)

  @Argument(help: "Stream to read; - is standard input.", completion: .file())
  package var stream: String

  @Flag(help: "Print JSON instead of text.")
  package var json = false

  @OptionGroup var shown: ShownParts

  @Flag(
    help: ArgumentHelp(
      "Show the SHA-256 of the content of each RAM block; that of private pages needs --instance.",
      discussion: """
        RAM from a pipe, or whose pages are repeated or out of order, is assembled in a file without a name, \
        in the folder TMPDIR names, else in /var/tmp. Zeros that are not stored are hashed up to 64 GiB; a \
        block with more is not hashed.
        """))
  package var ramHashes = false

  @Flag(
    help: ArgumentHelp(
      "With --json: give the SHA-256 of each run of pages, and of each RAM block.",
      discussion:
        "Of private pages it is that of the ciphertext, but with --instance of the content."))
  var pageHashes = false

  @Flag(
    help: """
      Show a stream that ends early, or lacks pages, without refusing it: exit status 0.
      """)
  package var allowIncomplete = false

  @Option(
    help: ArgumentHelp(
      "Instance file of the stream's destination: shows the decoded final state.",
      valueName: "file"), completion: .file())
  package var instance: String?

  @OptionGroup var qemu: QEMUInputOptions
  @OptionGroup var place: MapOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup package var trust: TrustOptions
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard json || !pageHashes else { throw ValidationError("--page-hashes is for --json.") }
    try qemu.validate(with: stream, lists: true)
    guard shown.page == nil || !ramHashes && !pageHashes else {
      throw ValidationError("--page, --ram-hashes and --page-hashes exclude each other.")
    }
    guard shown.extract == nil || !json && !ramHashes else {
      throw ValidationError("--extract writes bytes, without --json and --ram-hashes.")
    }
    guard shown.output == nil || shown.extract != nil else {
      throw ValidationError("--output is for --extract.")
    }
  }

  package var wantsJSON: Bool { json }

  package func execute(_ console: Console) throws {
    guard !GuestReader.isBundle(stream) else {
      throw MigrationError(
        .inputKind, "\(RenderedText.printable(stream)) is a folder",
        expected: "a stream; svsm-mig-guest show shows the bundle of a guest")
    }
    let file = try InputFile(stream)
    if qemu.part.snapshot == StreamPlaceOptions.list { return try listSnapshots(of: file, console) }
    let keys = try self.keys()
    let input = try QEMUInput(file, qemu)
    if let part = shown.extract {
      return try extract(part, from: input, of: file, console)
    }
    if try FileKind(detecting: input.stream) == .cprState {
      return try show(cpr: input, console)
    }
    var options = shown.options
    options.showsEveryPart = common.verbose || shown.section != nil
    let found = try inspect(input, of: file, keys, options, console)
    if let query = shown.query { try requireSection(query, in: found) }
    if place.isGiven, found.refusal == nil, let error = found.mapError { throw error }
    var parts = shown.parts
    parts.blocks = ramHashes
    parts.isFull = common.verbose
    if json {
      try InspectionJSON.render(found, parts) {
        console.refusal($0)
      } write: { (text) throws(MigrationError) in
        try console.write(text)
      }
    } else {
      try InspectionText.render(found, parts, style: console.style) {
        (text) throws(MigrationError) in
        try console.write(text)
      }
    }
    if keys != nil { console.noteModel() }
    if let refusal = found.refusal { throw refusal }
    if let shortfall = found.shortfall { console.note("not whole: \(shortfall.spelled)") }
  }

  /// Refuses a name that no section of a stream has.
  func requireSection(_ query: SectionQuery, in found: InspectedStream) throws {
    let lines = found.sections.lines.elements
    guard found.refusal == nil, !lines.contains(where: { query.matches($0.header) }) else { return }
    throw ValidationError(
      "No section is called \(RenderedText.printable(query.text)); --sections lists their names.")
  }

  private func listSnapshots(of file: InputFile, _ console: Console) throws {
    let list = SnapshotList(try QEMUInput.snapshots(in: file))
    if json {
      try console.write(list.json)
    } else {
      try console.write(list.text)
    }
  }

  /// Reads the stream to its end or its first fault.
  func inspect(
    _ input: QEMUInput, of file: InputFile, _ keys: Rehearsal.Keys?, _ options: InspectionOptions,
    _ console: Console
  ) throws(MigrationError) -> InspectedStream {
    var options = options
    options.hashesRAM = ramHashes || pageHashes
    options.hashesPages = pageHashes
    options.additions = place.additions
    let progress = console.startProgress("inspecting", total: input.end)
    var found = try inspect(input, of: file, keys, options) { progress.update($0) }
    if allowIncomplete, let refusal = found.refusal, refusal.code.saysIncomplete {
      found.shortfall = refusal
      found.refusal = nil
    }
    return found
  }

  private func inspect(
    _ input: QEMUInput, of file: InputFile, _ keys: Rehearsal.Keys?, _ options: InspectionOptions,
    _ progress: (UInt64) -> Void
  ) throws(MigrationError) -> InspectedStream {
    let kind = try StreamKind(detecting: input.stream)
    switch kind {
    case .snp:
      try input.requireAlone()
      guard !place.isGiven else {
        throw MigrationError(
          .streamKind, "an SNP stream has the map of its guest",
          expected: "a plain QEMU stream for \(.ram), \(.notRAM), \(.machine) and \(.below4G)")
      }
      return try SNPInspector(input.stream, options: options, keys: keys)
        .inspect(progress: progress)
    case .qemu, nil:
      guard kind == nil || keys == nil else {
        throw MigrationError(
          .streamKind, "a plain QEMU stream has no destination",
          expected: "an SNP stream for \(.instance)")
      }
      guard kind == nil || !shown.epochs else {
        throw MigrationError(
          .streamKind, "a plain QEMU stream does not mark the rounds over its memory",
          expected: "an SNP stream for --epochs")
      }
      let again = { () throws(MigrationError) in try QEMUInput(file, qemu) }
      // Pages of channels are never in order, so that hashes need one pass.
      let isRepeatable =
        file.kind == .regular
        && (shown.page == nil
          ? qemu.channel.isEmpty
          : qemu.channel.allSatisfy { FileIdentity.ofOutput($0) != nil })
      return try QEMUInspector.inspect(
        input, again: isRepeatable ? again : nil, options: options, crew: jobs.crew,
        progress: progress)
    }
  }

  /// Shows what a QEMU hands to its successor beside the stream.
  private func show(cpr input: QEMUInput, _ console: Console) throws(MigrationError) {
    guard qemu.files.isEmpty, instance == nil, shown.page == nil, !ramHashes, !pageHashes else {
      throw MigrationError(
        .streamKind, "the state of a CPR migration is no stream",
        expected:
          "a stream for \(.channel), \(.memory), \(.instance), --page, --ram-hashes and --page-hashes"
      )
    }
    let state = try CPRState(input.stream)
    let size = input.stream.offset - input.start
    if json {
      try console.write(state.json(size: size))
    } else {
      try console.write(state.text(size: size, console.style))
    }
  }

  private func keys() throws(MigrationError) -> Rehearsal.Keys? {
    guard let instance else { return nil }
    // The model's root is accepted here without being named, since inspecting makes no decision.
    return Rehearsal.Keys(
      instance: try InstanceFile(reading: instance).instance,
      anchors: try trust.anchors() + TrustAnchor.model)
  }
}
