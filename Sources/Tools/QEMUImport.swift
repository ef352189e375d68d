internal import Bytes
internal import FileIO
internal import Guest
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM

/// Makes a bundle of a plain QEMU stream.
///
/// Pages go to the bundle as they come. The vCPUs are read at the end, when the VM description is
/// known that names their fields.
final class QEMUImport {
  /// Names QEMU gives the main RAM block of its x86 machines.
  private static let mainBlocks = ["pc.ram", "microvm.ram", "ram"]
  /// Bytes of `cpu` sections that are kept: more than 4096 vCPUs need.
  private static let maximumCPUBytes = 64 << 20

  private let input: QEMUInput
  private let additions: ImportAdditions
  private let assembly: RAMAssembly
  private var blocks: [Guest.RAMBlock] = []
  private var memory: GuestBundleMemory?
  private var cpuSections: [(header: SectionHeader, at: UInt64, body: [UInt8])] = []
  private var cpuBytes = 0
  private var description: VMDescription?

  init(_ input: QEMUInput, _ additions: ImportAdditions) {
    self.input = input
    self.additions = additions
    assembly = RAMAssembly(channels: input.channels, file: input.positions)
  }

  /// - Parameter progress: told the bytes of the stream that are read.
  /// - Throws: what is wrong with the stream; `STREAM-KIND` for an SNP stream; `RAM-MISSING` when a
  ///   page never came; `IMAGE-PARTIAL` for an image that libvirt did not finish;
  ///   `STREAM-CONFIGURATION` when nothing names the machine; what writing a bundle throws.
  func run(
    into writer: GuestWriter, progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestDescription {
    guard input.image?.isWhole ?? true else {
      throw MigrationError(
        .imagePartial, "libvirt did not finish this image", at: 0, expected: "LibvirtQemudSave",
        got: "LibvirtQemudPart")
    }
    description = try input.description()
    var reader = QEMUStreamReader(input.stream, description: description, file: input.positions)
    do throws(MigrationError) {
      while try step(&reader, writer, progress) {}
    } catch {
      throw input.explain(error)
    }
    let end = reader.input.offset
    guard let memory else {
      throw MigrationError(.ramList, "stream has no RAM", at: end, expected: "section ram")
    }
    try assembly.finish()
    for block in blocks.indices { try assembly.requireWhole(block, at: end) }
    let guest = try describe(machine: reader.configuration?.machineText ?? "", at: end)
    try memory.finish(guest)
    return guest
  }

  /// - Returns: false at the end.
  private func step(
    _ reader: inout QEMUStreamReader, _ writer: GuestWriter, _ progress: (UInt64) -> Void
  ) throws(MigrationError) -> Bool {
    switch try reader.next() {
    case .section(let header):
      progress(reader.input.offset)
      if header.name == "snp-session" {
        throw MigrationError(
          .streamKind, "an SNP stream is for svsm-mig-load", section: "\(header.name)",
          at: header.offset, expected: "a plain QEMU stream")
      }
      if header.name == "cpu" { try keep(header, &reader) }
    case .ram(.blockList):
      try begin(reader.ram, writer)
    case .ram(let record): try assembly.take(record, from: reader.input)
    case .command(let command) where command.code == .postcopyRAMDiscard:
      try assembly.discard(command)
    case .description(let size):
      if description == nil {
        description = try VMDescription(
          parsing: Array(copying: reader.input.bytes.extracting(first: size)),
          at: reader.input.offset)
      }
    case .endOfSections:
      _ = try Seal.readIfPresent(from: reader.input, streamStart: input.start)
    case .configuration, .command, .mappedPages, .unreadable: break
    case .end: return false
    }
    return true
  }

  // MARK: Memory

  private func begin(_ ram: RAMDecoder, _ writer: GuestWriter) throws(MigrationError) {
    for block in ram.blocks {
      guard let name = String(validating: block.name.bytes, as: UTF8.self) else {
        throw MigrationError(
          .ramBlock, "name of a RAM block is not UTF-8", section: "ram", got: "\(block.name)")
      }
      blocks.append(try Guest.RAMBlock(name: name, size: block.length))
    }
    let memory = try writer.begin(blockSizes: blocks.map(\.size))
    self.memory = memory
    try assembly.begin(ram, into: BundleRAM(memory))
  }

  // MARK: The rest

  private func keep(
    _ header: SectionHeader, _ reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    let size = try reader.requireBody()
    cpuBytes += size
    guard cpuBytes <= Self.maximumCPUBytes else {
      throw MigrationError(
        .vcpuCount, "stream has more vCPUs than a guest", section: "cpu", at: header.offset)
    }
    let input = reader.input
    cpuSections.append((header, input.offset, Array(copying: input.bytes.extracting(first: size))))
  }

  private func vcpus() throws(MigrationError) -> [VCPUState] {
    if let given = additions.vcpus { return given }
    guard let description else {
      throw MigrationError(
        .vmdescriptionMissing, "without a VM description the vCPUs cannot be read",
        expected: "a description, or --vmsa")
    }
    var found: [VCPUState] = []
    for (index, section) in cpuSections.enumerated() {
      guard
        let device = description.device(section.header.name, instance: section.header.instance)
      else {
        throw MigrationError(
          .vmdescriptionMismatch, "VM description lacks a section", section: "cpu",
          at: section.header.offset)
      }
      do {
        let state = try device.body.decode(section.body.span, at: section.at)
        found.append(try VCPUState(apicID: UInt32(index), qemu: state))
      } catch {
        throw error.inSection("cpu")
      }
    }
    return found
  }

  private func describe(
    machine named: String, at offset: UInt64
  ) throws(MigrationError) -> GuestDescription {
    let machine = additions.machine ?? named
    guard !machine.isEmpty else {
      throw MigrationError(
        .configuration, "stream does not name its machine", at: 8, expected: "--machine")
    }
    let main = mainBlock
    let map = try GuestMap(
      try GuestLayout.ranges(
        machine: machine, size: blocks[main].size, below4G: additions.below4G, block: main),
      blocks: blocks)
    let isPrivate = additions.privateRanges.intersection(map.addresses)
    return GuestDescription(
      machine: machine, ramBlocks: blocks, map: map, attributes: isPrivate,
      pageStates: try PageStateMap(map.addresses, private: isPrivate), vcpus: try vcpus(),
      services: additions.services)
  }

  /// The block the guest's memory is in: by QEMU's names, else the largest.
  private var mainBlock: Int {
    for name in Self.mainBlocks {
      if let index = blocks.firstIndex(where: { $0.name == name }) { return index }
    }
    return blocks.indices.max { blocks[$0].size < blocks[$1].size } ?? 0
  }
}
