package import ArgumentParser
internal import FileIO
package import Guest
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
      vCPUs. Zero memory becomes holes.
      """)

  @Argument(
    help: "Guest: a bundle (a folder) or a raw memory image (a file).", completion: .file())
  var guest: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("File to make; - is standard output.", valueName: "file"),
    completion: .file())
  var output: String

  @Option(help: "Format of the file.")
  var format = Format.raw

  @Option(
    help: ArgumentHelp(
      "Guest-physical bytes: FIRST-LAST or FIRST+LENGTH. A core holds those that are mapped.",
      valueName: "range"))
  var range: ByteRange?

  @Option(
    help: ArgumentHelp(
      "The 4096 bytes of the page that holds this guest-physical address.", valueName: "gpa"))
  var page: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Machine type of a raw image, which decides where memory lies.", valueName: "name"))
  var machine: String?

  @Option(
    name: .customLong("below-4g"),
    help: ArgumentHelp(
      "QEMU's max-ram-below-4g of a raw image, where it was given.", valueName: "size"))
  var below4G: ByteCount?

  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard range == nil || page == nil else {
      throw ValidationError("--range and --page exclude each other.")
    }
    guard page == nil || wanted != nil else {
      throw ValidationError("--page takes an address below 2^52.")
    }
  }

  /// The range of guest-physical memory to export; nil for all.
  private var wanted: ByteRange? {
    guard let page else { return range }
    return ByteRange(start: page.value & ~4095, size: 4096)
  }

  package func execute(_ console: Console) throws {
    let reader = try self.reader()
    try refuseSame(inputs: [guest], guest: reader, at: guest, as: output)
    let export: MemoryExport
    switch (format, wanted) {
    case (.raw, nil): export = try .mainBlock(of: reader)
    case (.raw, let range?): export = try .memory(range, of: reader)
    case (.elf, let range): export = try .core(range, of: reader)
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

  private func reader() throws -> GuestReader {
    if GuestReader.isBundle(guest) {
      guard machine == nil, below4G == nil else {
        throw ValidationError(
          "--machine and --below-4g describe a raw image; a bundle has them itself.")
      }
      return try GuestReader(bundle: guest)
    }
    try GuestReader.refuseStream(guest)
    var options = RawImageOptions()
    if let machine { options.machine = machine }
    options.below4G = below4G?.value
    // A raw image has no vCPU state, so the guest gets no vCPUs.
    options.vcpus = []
    return try GuestReader(rawImage: guest, options)
  }
}

extension ByteRange: ExpressibleByArgument {
  package init?(argument: String) { self.init(parsing: argument) }
}
