package import ArgumentParser
internal import Errors
internal import FileIO
package import Guest
internal import Import
internal import QEMUStream
internal import SEVSNP

/// `svsm-mig-guest export`: writes the memory of a guest to a file for other programs.
package struct GuestExportCommand: ToolCommand {
  package enum Format: String, ExpressibleByArgument, CaseIterable, Sendable {
    case raw
    case elf
  }

  package static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write the memory of a guest as a raw image or an ELF core.",
    discussion: """
      raw: the main RAM block from its first byte to its last, or with --range or --page these \
      guest-physical bytes. elf: a vmcore as QEMU's dump-guest-memory writes it, which crash, gdb \
      and volatility open: all memory at its guest-physical address, and the registers of the \
      vCPUs. Zero memory becomes holes. With --paging the memory is at its virtual addresses, as \
      the page tables of a vCPU have it.

      --block and --all-blocks write RAM blocks as they are, of a QEMU stream of any machine: where \
      memory lies need not be known.
      """)

  @Argument(
    help: ArgumentHelp(
      "Guest: a bundle (a folder), a plain QEMU stream, or a raw memory image (a file); - is standard "
        + "input, for a stream."),
    completion: .file())
  var guest: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "File to make, with --all-blocks a folder; - is standard output.", valueName: "file"),
    completion: .file())
  var output: String

  @Option(help: "Format of the file.")
  var format = Format.raw

  @Flag(
    help: """
      Give the memory of a core the virtual addresses of a vCPU, so that gdb reads at $rip.
      """)
  var paging = false

  @Option(
    help: ArgumentHelp(
      "vCPU whose page tables --paging uses; 0 by default.", valueName: "number"))
  var cpu: Int?

  @Option(
    help: ArgumentHelp(
      "Guest-physical bytes: FIRST-LAST or FIRST+LENGTH. A core holds those that are mapped. With "
        + "--block: offsets in the block.",
      valueName: "range"))
  var range: ByteRange?

  @Option(
    help: ArgumentHelp(
      "The 4096 bytes of the page that holds this guest-physical address.", valueName: "gpa"))
  var page: ByteCount?

  @OptionGroup var blocks: BlockOptions

  @Flag(
    help: """
      Take what there is of a stream that ends early, or lacks pages: what is missing is zero, and \
      the tool says how much that is.
      """)
  var allowIncomplete = false

  @OptionGroup var qemu: QEMUInputOptions
  @OptionGroup var place: MapOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    try qemu.validate(with: guest)
    guard range == nil || page == nil else {
      throw ValidationError("--range and --page exclude each other.")
    }
    guard page == nil || wanted != nil else {
      throw ValidationError("--page takes an address below 2^52.")
    }
    guard format == .elf || !paging, paging || cpu == nil else {
      throw ValidationError("--paging is for --format elf, and --cpu for --paging.")
    }
    guard cpu.map({ 0..<GuestDescription.maximumVCPUs ~= $0 }) ?? true else {
      throw ValidationError("--cpu takes 0 to \(GuestDescription.maximumVCPUs - 1).")
    }
    guard blocks.isGiven else { return }
    guard format == .raw, page == nil else {
      throw ValidationError(
        "--block and --all-blocks write blocks as they are, without --format elf and --page.")
    }
    guard place.machine == nil, place.below4G == nil, !place.ram.isGiven else {
      throw ValidationError(
        "--machine, --below-4g, --ram and --not-ram say where memory lies; --block and --all-blocks "
          + "do not ask.")
    }
    guard !blocks.allBlocks || range == nil && output != "-" else {
      throw ValidationError("--all-blocks makes a folder of whole blocks.")
    }
  }

  /// The range of guest-physical memory to export; nil for all.
  private var wanted: ByteRange? {
    guard let page else { return range }
    return ByteRange(start: page.value & ~4095, size: 4096)
  }

  package func execute(_ console: Console) throws {
    let file = try streamFile()
    guard file != nil || !(qemu.isGiven || place.ram.isGiven || allowIncomplete) else {
      throw ValidationError(
        "--channel, --memory, --offset, --length, --snapshot, --ram, --not-ram and --allow-incomplete "
          + "are for QEMU streams.")
    }
    guard let file else {
      let reader = try self.reader()
      try refuseSame(inputs: [guest], as: output)
      console.note(incomplete: reader.description)
      return blocks.isGiven
        ? try blocks.export(reader, range, to: output, force: outputs.force, console)
        : try export(reader, console)
    }
    try refuseSame(file.identity, as: output)
    try refuseSame(inputs: [guest] + qemu.files, as: output)
    let input = try QEMUInput(file, qemu)
    try refuseSNP(input)
    guard !blocks.isGiven else {
      return try blocks.export(
        input, range, to: output, force: outputs.force, allowIncomplete: allowIncomplete,
        jobs.crew, console)
    }
    try export(read(input, console), console)
  }

  // MARK: Inputs

  /// The file of a QEMU stream; nil for a bundle and a raw image.
  private func streamFile() throws(MigrationError) -> InputFile? {
    if GuestReader.isBundle(guest) { return nil }
    let file = try InputFile(guest)
    if qemu.isPlaced || file.size == nil { return file }
    return try file.kind()?.holdsStream == true ? file : nil
  }

  /// - Throws: `INPUT-KIND`: the memory of such a stream is encrypted.
  private func refuseSNP(_ input: QEMUInput) throws(MigrationError) {
    guard try StreamKind(detecting: input.stream) == .snp else { return }
    throw MigrationError(
      .inputKind, "the memory of an SNP stream is encrypted", at: input.start,
      expected: "the guest that svsm-mig-load makes of it, or a plain QEMU stream")
  }

  private func reader() throws -> GuestReader {
    if GuestReader.isBundle(guest) {
      guard place.machine == nil, place.below4G == nil else {
        throw ValidationError(
          "--machine and --below-4g describe a raw image or a stream; a bundle has them itself.")
      }
      return try GuestReader(bundle: guest, acceptsIncomplete: true)
    }
    try GuestReader.refuseForeign(guest)
    var options = RawImageOptions()
    if let machine = place.machine { options.machine = machine }
    options.below4G = place.below4G?.value
    // A raw image has no vCPU state, so the guest gets no vCPUs.
    options.vcpus = []
    return try GuestReader(rawImage: guest, options)
  }

  /// Reads a stream to its end, its memory into a file without a name: only then it is known where the
  /// memory lies.
  private func read(_ input: QEMUInput, _ console: Console) throws -> GuestReader {
    var additions = place.additions
    // The registers are for a core.
    if format == .raw { additions.vcpus = [] }
    let importer = QEMUImport(
      input, additions, for: .reading(allowsIncomplete: allowIncomplete), crew: jobs.crew)
    let progress = console.startProgress("reading", total: input.end)
    let reader = try importer.read { progress.update($0) }
    console.note(padding: importer.padding, rest: input.rest)
    console.note(shortfall: importer.shortfall, missing: importer.missing)
    if format == .elf, reader.description.vcpus.isEmpty {
      console.note("the stream ends before its vCPUs: no registers")
    }
    return reader
  }

  // MARK: Output

  private func export(_ reader: GuestReader, _ console: Console) throws {
    let export: MemoryExport
    switch (format, wanted) {
    case (.raw, nil): export = try .mainBlock(of: reader)
    case (.raw, let range?): export = try .memory(range, of: reader)
    case (.elf, let range):
      export = try .core(range, pagingOf: paging ? cpu ?? 0 : nil, of: reader)
    }
    // The export has private memory in the clear.
    let file = try OutputFile(output, force: outputs.force, permissions: .private)
    let progress = console.startProgress("exporting", total: export.memorySize)
    try export.write(to: file, isSequential: file.isDirect) { progress.update($0) }
    try file.commit()
    let description = reader.description
    console.note(
      "exported \(Spelled.size(export.memorySize)) of \(description.machine)"
        + (format == .elf ? " with \(Spelled.count(description.vcpus.count, "vCPU"))" : "")
        + " to \(file.name)")
    console.noteLeftovers(of: [output])
    guard format == .elf else {
      if wanted == nil { noteLeftOut(description, console) }
      return
    }
    for vcpu in description.vcpus where try VMSA(vcpu.vmsa).features.vmsaRegProt {
      console.note(
        "registers of the vCPU with APIC id \(vcpu.apicID) are not in the core: protected")
    }
  }

  /// Prints a note that names the RAM blocks which are not in the main block and so not exported.
  private func noteLeftOut(_ guest: GuestDescription, _ console: Console) {
    let main = guest.map.ranges.first?.block
    let others = Set(guest.map.ranges.map(\.block)).filter { $0 != main }.sorted()
    guard !others.isEmpty else { return }
    let names = others.map { guest.ramBlocks[$0].name }.joined(separator: ", ")
    console.note("a raw image is one RAM block; not in it: \(names)")
  }
}

extension ByteRange: ExpressibleByArgument {
  package init?(argument: String) { self.init(parsing: argument) }
}
