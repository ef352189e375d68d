package import Errors
internal import FileIO
package import Guest
internal import JSON
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM

/// Makes a guest of a plain QEMU stream.
///
/// Pages go to its memory as they come. The vCPUs are read at the end, when the VM description is
/// known that names their fields. All other sections are kept as they are: with them the stream can be
/// written again.
package final class QEMUImport {

  private let input: QEMUInput
  private let additions: ImportAdditions
  private let assembly: RAMAssembly
  private var blocks: [Guest.RAMBlock] = []
  private var machine = MachineRecorder()
  /// Zero bytes that followed the stream; known after `run`.
  package private(set) var padding: UInt64 = 0

  package init(_ input: QEMUInput, _ additions: ImportAdditions) {
    self.input = input
    self.additions = additions
    assembly = input.assembly()
  }

  /// Makes the guest's memory, all zero, of blocks of these sizes.
  package typealias MakeMemory = ([UInt64]) throws(MigrationError) -> any GuestMemoryOutput

  /// - Parameters:
  ///   - memory: makes what the pages are written to.
  ///   - progress: told the bytes of the stream that are read.
  /// - Throws: what is wrong with the stream; `STREAM-KIND` for an SNP stream; `RAM-MISSING` when a
  ///   page never came; `IMAGE-PARTIAL` for an image that libvirt did not finish;
  ///   `STREAM-CONFIGURATION` when nothing names the machine; what making and writing memory throws.
  package func run(
    memory: MakeMemory, progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestDescription {
    try input.requireWholeImage()
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
      ram, of: reader.configuration, into: GuestRAM(try memory(blocks.map(\.size))))
  }

  /// Refuses a machine whose pages are not a guest's.
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

  /// What the stream and the user say of where memory lies.
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
