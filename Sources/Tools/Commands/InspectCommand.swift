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
      be seen without keys. With the instance file of its destination, the stream is rehearsed as \
      a load would go, nothing is restored, and vCPUs, services and page states are shown too.

      It checks only what it needs to read on; svsm-mig-verify checks the rest. A damaged stream \
      is shown up to the damage; exit status 65.
      """,
    version: Toolkit.version)

  @Argument(help: "Stream to read; - is standard input.", completion: .file())
  package var stream: String

  @Flag(help: "Print JSON instead of text.")
  package var json = false

  @Flag(help: "List all sections; with --verbose each part of one by itself.")
  package var sections = false

  @Flag(help: "Show the fields of each device section, named by the VM description.")
  package var devices = false

  @Flag(help: "List runs of private and shared pages.")
  package var pages = false

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
      "Show all details of the page at this guest-physical address.",
      discussion: "Content of a private page is shown only with --instance.", valueName: "gpa"))
  package var page: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Instance file of the stream's destination: shows the decoded final state.",
      valueName: "file"), completion: .file())
  package var instance: String?

  @OptionGroup var qemu: QEMUInputOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup package var trust: TrustOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard json || !pageHashes else { throw ValidationError("--page-hashes is for --json.") }
    try qemu.validate(with: stream, lists: true)
  }

  package var wantsJSON: Bool { json }

  package func execute(_ console: Console) throws {
    let file = try InputFile(stream)
    if qemu.part.snapshot == StreamPlaceOptions.list { return try listSnapshots(of: file, console) }
    let keys = try self.keys()
    let input = try QEMUInput(file, qemu)
    if try FileKind(detecting: input.stream) == .cprState {
      return try show(cpr: input, console)
    }
    let progress = console.startProgress("inspecting", total: input.end)
    var found = try inspect(input, of: file, keys) { progress.update($0) }
    if allowIncomplete, let refusal = found.refusal, refusal.code.saysIncomplete {
      found.shortfall = refusal
      found.refusal = nil
    }
    let parts = InspectionParts(sections: sections, pages: pages, devices: devices)
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

  private func listSnapshots(of file: InputFile, _ console: Console) throws {
    let list = SnapshotList(try QEMUInput.snapshots(in: file))
    if json {
      try console.write(list.json)
    } else {
      try console.write(list.text)
    }
  }

  private func inspect(
    _ input: QEMUInput, of file: InputFile, _ keys: Rehearsal.Keys?, _ progress: (UInt64) -> Void
  ) throws(MigrationError) -> InspectedStream {
    var options = InspectionOptions()
    options.showsEveryPart = common.verbose
    options.keepsBodies = devices
    options.page = page.map { $0.value & ~4095 }
    options.hashesRAM = ramHashes || pageHashes
    options.hashesPages = pageHashes
    let kind = try StreamKind(detecting: input.stream)
    switch kind {
    case .snp:
      try input.requireAlone()
      return try SNPInspector(input.stream, options: options, keys: keys)
        .inspect(progress: progress)
    case .qemu, nil:
      guard kind == nil || keys == nil && page == nil else {
        throw MigrationError(
          .streamKind, "a plain QEMU stream has no guest-physical map and no destination",
          expected: "an SNP stream for --page and --instance")
      }
      let again = { () throws(MigrationError) in try QEMUInput(file, qemu) }
      return try QEMUInspector.inspect(
        input, again: file.kind == .regular && qemu.channel.isEmpty ? again : nil,
        options: options, crew: jobs.crew, progress: progress)
    }
  }

  /// Shows what a QEMU hands to its successor beside the stream.
  private func show(cpr input: QEMUInput, _ console: Console) throws(MigrationError) {
    guard qemu.files.isEmpty, instance == nil, page == nil, !ramHashes, !pageHashes else {
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
