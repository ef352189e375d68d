package import Errors
internal import FileIO
package import Guest
internal import JSON
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
package import Threads

/// Makes a guest from a plain QEMU stream.
///
/// Pages are written to the guest's memory as they are read. The vCPUs are decoded at the end, when
/// the VM description that names their fields is known. All other sections are kept as they are, so
/// that the stream can be written again.
package final class QEMUImport {

  private let input: QEMUInput
  private let additions: ImportAdditions
  private let assembly: RAMAssembly
  private let crew: WorkCrew
  private var blocks: [Guest.RAMBlock] = []
  private var machine = MachineRecorder()
  /// Zero bytes after the stream; set by `run`.
  package private(set) var padding: UInt64 = 0

  /// - Parameter crew: the threads that read and write.
  package init(_ input: QEMUInput, _ additions: ImportAdditions, crew: WorkCrew) {
    self.input = input
    self.additions = additions
    self.crew = crew
    assembly = input.assembly()
  }

  /// Makes the guest's memory, filled with zeros, with RAM blocks of these sizes in bytes.
  package typealias MakeMemory = ([UInt64]) throws(MigrationError) -> any GuestMemoryOutput

  /// - Parameters:
  ///   - memory: makes the memory to which the pages are written.
  ///   - progress: called with the number of bytes of the stream that have been read.
  /// - Throws: errors of the stream; `STREAM-KIND` for an SNP stream; `RAM-MISSING` when a page is
  ///   not in the stream; `IMAGE-PARTIAL` for an image that libvirt did not finish;
  ///   `STREAM-CONFIGURATION` when nothing names the machine; the errors of making and writing
  ///   memory.
  package func run(
    memory: MakeMemory, progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestDescription {
    try input.requireWholeImage()
    // The caller may discard what was written, which must not go on then.
    defer { assembly.stop() }
    var reader = try input.reader()
    do throws(MigrationError) {
      while try step(&reader, memory, progress) {}
    } catch {
      throw input.explain(error)
    }
    let end = reader.input.offset
    padding = reader.padding
    guard !blocks.isEmpty else {
      throw MigrationError(.ramList, "stream has no RAM", at: end, expected: "section ram")
    }
    try requirePages(of: reader.ram, at: end)
    try assembly.finish()
    for block in blocks.indices { try assembly.requireWhole(block, at: end) }
    var guest = try describe(reader, at: end)
    let state = try machine.finish(reader)
    try state.requireRegisters(of: guest.vcpus)
    guest.machineState = state.encoded
    return guest
  }

  /// - Returns: false at the end.
  private func step(
    _ reader: inout QEMUStreamReader, _ memory: MakeMemory, _ progress: (UInt64) -> Void
  ) throws(MigrationError) -> Bool {
    let event = try reader.next()
    if case .section(let header) = event {
      progress(reader.input.offset)
      if header.name == "snp-session" {
        throw MigrationError(
          .streamKind, "an SNP stream is for svsm-mig-load", in: .section(header.name),
          at: header.offset, expected: "a plain QEMU stream")
      }
    }
    try machine.take(event, from: &reader)
    if case .section(let header) = event { try assembly.take(header, from: &reader) }
    switch event {
    case .ram(.blockList): try begin(reader, memory)
    case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
    case .command(let command) where command.code == .postcopyRAMDiscard:
      try assembly.discard(command)
    case .description: _ = try reader.requireDescription()
    case .endOfSections:
      _ = try Seal.readIfPresent(from: reader.input, streamStart: input.start)
    case .configuration, .section, .command, .confidential, .mappedPages, .unreadable: break
    case .end: return false
    }
    return true
  }

  // MARK: Memory

  private func begin(
    _ reader: QEMUStreamReader, _ memory: MakeMemory
  ) throws(MigrationError) {
    let ram = reader.ram
    let end = reader.input.offset
    try requirePages(of: ram, at: end)
    try ram.requireMemory(at: end)
    for block in ram.blocks {
      guard let name = String(validating: block.name.bytes, as: UTF8.self) else {
        throw MigrationError(
          .ramBlock, "name of a RAM block is not UTF-8", in: .ram, at: end,
          got: "\(block.name)")
      }
      blocks.append(try Guest.RAMBlock(name: name, size: block.length))
    }
    try assembly.begin(
      ram, of: reader.configuration, into: GuestRAM(try memory(blocks.map(\.size))), crew: crew)
  }

  /// Refuses a machine whose page size is not that of a guest (4096 bytes).
  /// - Throws: `STREAM-CONFIGURATION`.
  private func requirePages(of ram: RAMDecoder, at offset: UInt64) throws(MigrationError) {
    guard ram.page == .x86 else {
      throw MigrationError(
        .configuration, "no guest has pages of this size", in: .ram, at: offset, expected: "4096",
        got: "\(ram.page.size)")
    }
  }

  // MARK: The rest

  private func vcpus(_ description: VMDescription?) throws(MigrationError) -> [VCPUState] {
    if let given = additions.vcpus { return given }
    let described = description.map(DescribedSections.init)
    let sections = machine.sections.filter { $0.header.name == "cpu" }
    var budget = ElementBudget(bytes: sections.reduce(0) { $0 + $1.body.count })
    var found: [VCPUState] = []
    for (index, section) in sections.enumerated() {
      do {
        let state = try decode(
          section.header, section.body.span, at: section.offset, by: described, &budget)
        found.append(try VCPUState(apicID: UInt32(index), qemu: state))
      } catch {
        throw error.within(.cpu)
      }
    }
    guard !found.isEmpty else {
      throw MigrationError(
        .vmdescriptionMissing, "the vCPUs of this stream cannot be read", expected: "\(.vmsa)")
    }
    return found
  }

  /// The fields of a `cpu` section.
  private func decode(
    _ header: SectionHeader, _ body: Span<UInt8>, at offset: UInt64,
    by described: DescribedSections?, _ budget: inout ElementBudget
  ) throws(MigrationError) -> JSON {
    if let described {
      guard let device = described[header] else {
        throw MigrationError(
          .vmdescriptionMismatch, "VM description lacks a section", at: header.offset)
      }
      return try device.body.decode(body, at: offset, &budget)
    }
    let fixed = VMDescription.Body.x86CPU
    guard header.version == VMDescription.Body.x86CPUVersion, let size = fixed.size,
      body.count >= size
    else {
      throw MigrationError(
        .vmdescriptionMissing, "a vCPU of this version is read by a VM description only",
        at: header.offset, expected: "a description, or \(.vmsa)", got: "version \(header.version)")
    }
    return try fixed.decode(body.extracting(first: size), at: offset, &budget)
  }

  private func describe(
    _ reader: QEMUStreamReader, at offset: UInt64
  ) throws(MigrationError) -> GuestDescription {
    let machine = additions.machine ?? reader.configuration?.machineText ?? ""
    guard !machine.isEmpty else {
      throw MigrationError(
        .configuration, "stream does not name its machine", at: 8, expected: "\(.machine)")
    }
    let map = try placement(machine).map(blocks)
    let isPrivate = try map.memory(in: additions.privateRanges)
    return GuestDescription(
      machine: machine, ramBlocks: blocks, map: map, attributes: isPrivate,
      pageStates: try PageStateMap(map.addresses, private: isPrivate),
      vcpus: try vcpus(reader.description),
      services: additions.services)
  }

  /// The positions of RAM blocks in guest-physical memory, from the stream and from the options.
  private func placement(_ name: String) throws(MigrationError) -> RAMPlacement {
    var placement = RAMPlacement(machine: name)
    placement.below4G = additions.below4G
    placement.places = additions.places
    placement.excluded = additions.notRAM
    placement.cmos = try machine.cmosMemory()
    placement.devices = machine.memoryDevices(blocks)
    if machine.isRead { placement.sections = Set(machine.sections.map { "\($0.header.name)" }) }
    return placement
  }
}
