package import Errors
internal import FileIO
package import Guest
internal import JSON
internal import Migration
package import QEMUStream
internal import SEVSNP
internal import SVSM
package import Threads

/// Makes a guest from a plain QEMU stream.
///
/// Pages are written to the guest's memory as they are read. The vCPUs are decoded at the end, when
/// the VM description that names their fields is known. All other sections are kept as they are, so
/// that the stream can be written again.
package final class QEMUImport {
  /// What the guest is made for.
  package enum Purpose: Sendable {
    /// To run again: the machine is kept.
    case running
    /// To look at its memory, and at the registers of its vCPUs. What is missing of a stream that is
    /// incomplete is zero, where that is allowed.
    case reading(allowsIncomplete: Bool)

    fileprivate var allowsIncomplete: Bool {
      if case .reading(let allows) = self { allows } else { false }
    }

    /// Whether the machine's part in an event is of use.
    fileprivate func needs(_ event: StreamEvent) -> Bool {
      if case .running = self { return true }
      if case .section(let header) = event { return header.name == "cpu" }
      return false
    }
  }

  private let input: QEMUInput
  private let additions: ImportAdditions
  private let purpose: Purpose
  private let crew: WorkCrew
  private var blocks: [Guest.RAMBlock] = []
  private var machine = MachineRecorder()
  private var clues = PlacementClues()
  /// Zero bytes after the stream; set by `run`.
  package private(set) var padding: UInt64 = 0
  /// Bytes of RAM blocks that never came, where that is allowed; known after `run`.
  package private(set) var missing: [(name: SectionName, bytes: UInt64)] = []
  /// Why the stream was not read to its end, where that is allowed; known after `run`.
  package private(set) var shortfall: MigrationError?

  /// - Parameter crew: the threads that read and write.
  package init(
    _ input: QEMUInput, _ additions: ImportAdditions, for purpose: Purpose = .running,
    crew: WorkCrew
  ) {
    self.input = input
    self.additions = additions
    self.purpose = purpose
    self.crew = crew
  }

  /// Makes the guest's memory, filled with zeros, with RAM blocks of these sizes in bytes.
  package typealias MakeMemory = ([UInt64]) throws(MigrationError) -> any GuestMemoryOutput

  /// - Parameters:
  ///   - memory: makes the memory to which the pages are written.
  ///   - progress: called with the number of bytes of the stream that have been read.
  /// - Throws: errors of the stream; `STREAM-KIND` for an SNP stream; `RAM-MISSING` when a page is
  ///   not in the stream; `IMAGE-PARTIAL` for an image that libvirt did not finish;
  ///   `STREAM-CONFIGURATION` when nothing names the machine, or its page size is not that of a guest, and
  ///   `MAP-LAYOUT` in its place for a guest that is only read; the errors of making and writing
  ///   memory.
  package func run(
    memory: MakeMemory, progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestDescription {
    let walk = try MemoryWalk(input, allowsIncomplete: purpose.allowsIncomplete, crew: crew)
    try walk.run { (reader) throws(MigrationError) in
      try begin(reader, memory)
    } taking: { (event, reader) throws(MigrationError) in
      if purpose.needs(event) { try machine.take(event, from: &reader) }
      try clues.take(event, from: &reader)
    } progress: {
      progress($0)
    }
    let reader = walk.reader
    let end = reader.input.offset
    (padding, missing, shortfall) = (reader.padding, walk.missing, walk.shortfall)
    if shortfall != nil { clues.endEarly() }
    try requirePages(of: reader.ram, at: end)
    if !purpose.allowsIncomplete {
      for block in blocks.indices { try walk.assembly.requireWhole(block, at: end) }
    }
    var guest = try describe(reader, at: end)
    guard case .running = purpose else { return guest }
    let state = try machine.finish(reader)
    try state.requireRegisters(of: guest.vcpus)
    guest.machineState = state.encoded
    return guest
  }

  /// The same with its memory in a file without a name.
  /// - Throws: what `run` throws and making the file.
  package func read(progress: (UInt64) -> Void) throws(MigrationError) -> GuestReader {
    var memory: TemporaryMemory?
    let guest = try run(
      memory: { (sizes) throws(MigrationError) in
        let made = try TemporaryMemory(blockSizes: sizes)
        memory = made
        return made
      }, progress: progress)
    guard let memory else {
      throw MigrationError(.internal, "a stream was imported without memory")
    }
    return try memory.guest(guest)
  }

  private func begin(
    _ reader: QEMUStreamReader, _ memory: MakeMemory
  ) throws(MigrationError) -> any RAMStore {
    let end = reader.input.offset
    try requirePages(of: reader.ram, at: end)
    try reader.ram.requireMemory(at: end)
    blocks = try Guest.RAMBlock.blocks(of: reader.ram, at: end)
    return GuestRAM(try memory(blocks.map(\.size)))
  }

  /// Refuses a machine whose page size is not that of a guest (4096 bytes).
  private func requirePages(of ram: RAMDecoder, at offset: UInt64) throws(MigrationError) {
    guard ram.page == .x86 else {
      throw unmapped(
        MigrationError(
          .configuration, "no guest has pages of this size", in: .ram, at: offset,
          expected: "4096", got: "\(ram.page.size)"))
    }
  }

  /// The refusal of a guest whose addresses are not known: who only reads can read its blocks.
  private func unmapped(_ error: MigrationError) -> MigrationError {
    guard case .reading = purpose else { return error }
    var error = error
    error.code = .guestMap
    error.expected = "\(error.expected ?? "a map"); or \(.block) NAME for one RAM block as it is"
    return error
  }

  // MARK: The rest

  /// The vCPUs; of a stream that ends early, none where it does not tell them.
  private func readableVCPUs(
    _ description: VMDescription?
  ) throws(MigrationError) -> [VCPUState] {
    do {
      return try vcpus(description)
    } catch {
      guard shortfall != nil else { throw error }
      return []
    }
  }

  private func vcpus(_ description: VMDescription?) throws(MigrationError) -> [VCPUState] {
    if let given = additions.vcpus { return given }
    let processors = machine.sections.filter { $0.header.name == "cpu" }
    let described = description.map(DescribedSections.init)
    var budget = ElementBudget(bytes: processors.reduce(0) { $0 + $1.body.count })
    var found: [VCPUState] = []
    for (index, section) in processors.enumerated() {
      do {
        let state = try VMDescription.Body.decodeX86CPU(
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

  private func describe(
    _ reader: QEMUStreamReader, at offset: UInt64
  ) throws(MigrationError) -> GuestDescription {
    let machine = additions.machine ?? reader.configuration?.machineText ?? ""
    guard !machine.isEmpty else {
      throw unmapped(
        MigrationError(
          .configuration, "stream does not name its machine", at: 8, expected: "\(.machine)"))
    }
    let map = try self.map(on: machine)
    let isPrivate = try map.memory(in: additions.privateRanges)
    return GuestDescription(
      machine: machine, ramBlocks: blocks, map: map, attributes: isPrivate,
      pageStates: try PageStateMap(map.addresses, private: isPrivate),
      vcpus: try readableVCPUs(reader.description),
      services: additions.services)
  }

  private func map(on machine: String) throws(MigrationError) -> GuestMap {
    do {
      return try clues.placement(of: blocks, on: machine, additions).map(blocks)
    } catch {
      throw error.code == .guestMap ? unmapped(error) : error
    }
  }
}
