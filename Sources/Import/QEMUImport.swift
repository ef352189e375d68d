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
  private let purpose: Purpose
  private let crew: WorkCrew
  private var parts: StreamGuest
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
    parts = StreamGuest(additions)
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
      try parts.take(event, keepsMachine: purpose.needs(event), from: &reader)
    } progress: {
      progress($0)
    }
    let reader = walk.reader
    let end = reader.input.offset
    (padding, missing, shortfall) = (reader.padding, try walk.missing(), walk.shortfall)
    if shortfall != nil { parts.endEarly() }
    try requirePages(of: reader.ram, at: end)
    if !purpose.allowsIncomplete {
      for block in parts.blocks.indices { try walk.assembly.requireWhole(block, at: end) }
    }
    var guest = try describe(reader)
    guard case .running = purpose else { return guest }
    let state = try parts.machine.finish(reader)
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
    parts.blocks = try Guest.RAMBlock.blocks(of: reader.ram, at: end)
    return GuestRAM(try memory(parts.blocks.map(\.size)))
  }

  private func requirePages(of ram: RAMDecoder, at offset: UInt64) throws(MigrationError) {
    do throws(MigrationError) {
      try parts.requirePages(of: ram, at: offset)
    } catch {
      throw unmapped(error)
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

  private func describe(_ reader: QEMUStreamReader) throws(MigrationError) -> GuestDescription {
    let (machine, map) = try place(reader)
    return try parts.describe(machine, map, vcpus: readableVCPUs(reader.description))
  }

  /// The machine's name and the map of its memory.
  private func place(
    _ reader: QEMUStreamReader
  ) throws(MigrationError) -> (machine: String, map: GuestMap) {
    do throws(MigrationError) {
      let machine = try parts.machineName(reader)
      return (machine, try parts.map(on: machine))
    } catch {
      let isUnknown = error.code == .guestMap || error.code == .configuration
      throw isUnknown ? unmapped(error) : error
    }
  }

  /// The vCPUs; of a stream that ends early, none where it does not tell them.
  private func readableVCPUs(
    _ description: VMDescription?
  ) throws(MigrationError) -> [VCPUState] {
    do {
      return try parts.vcpus(description)
    } catch {
      guard shortfall != nil else { throw error }
      return []
    }
  }
}
