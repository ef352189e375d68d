internal import Errors
internal import Guest
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import Wire

/// The parts of a guest that come out of the sections of its QEMU stream, beside the memory.
struct StreamGuest {
  let additions: ImportAdditions
  private(set) var machine = MachineRecorder()
  private(set) var clues = PlacementClues()
  var blocks: [Guest.RAMBlock] = []

  init(_ additions: ImportAdditions) { self.additions = additions }

  /// Takes an event. Call it before the next event is requested.
  /// - Parameter keepsMachine: whether the event's part of the machine is of use.
  /// - Throws: what finding the end of a body throws; `SECTION-LENGTH`.
  mutating func take(
    _ event: StreamEvent, keepsMachine: Bool = true, from reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    if keepsMachine { try machine.take(event, from: &reader) }
    try clues.take(event, from: &reader)
  }

  /// Tells that the stream ends early: what comes after that is not known.
  mutating func endEarly() { clues.endEarly() }

  /// Refuses a machine whose page size is not that of a guest (4096 bytes).
  /// - Throws: `STREAM-CONFIGURATION`.
  func requirePages(of ram: RAMDecoder, at offset: UInt64) throws(MigrationError) {
    guard ram.page == .x86 else {
      throw MigrationError(
        .configuration, "no guest has pages of this size", in: .ram, at: offset,
        expected: "4096", got: "\(ram.page.size)")
    }
  }

  /// QEMU's name of the machine, as the user or the stream gives it.
  /// - Throws: `STREAM-CONFIGURATION` when neither does.
  func machineName(_ reader: QEMUStreamReader) throws(MigrationError) -> String {
    let told = reader.configuration?.machineText ?? ""
    let name = additions.machine ?? told
    guard told.isEmpty || name == told else {
      throw MigrationError(
        .configuration, "the stream is of another machine", at: 8,
        expected: "\(Need.machine) \(told)",
        got: name)
    }
    guard !name.isEmpty else {
      throw MigrationError(
        .configuration, "stream does not name its machine", at: 8, expected: "\(.machine)")
    }
    return name
  }

  /// The map of the guest's memory, by what is known of it now.
  /// - Throws: `MAP-LAYOUT`; `SECTION-LENGTH`.
  func map(on machine: String) throws(MigrationError) -> GuestMap {
    try clues.placement(of: blocks, on: machine, additions).map(blocks)
  }

  /// The guest on this machine, with this map.
  func describe(
    _ machine: String, _ map: GuestMap, vcpus: [VCPUState]
  ) throws(MigrationError) -> GuestDescription {
    let isPrivate = try map.memory(in: additions.privateRanges)
    return GuestDescription(
      machine: machine, ramBlocks: blocks, map: map, attributes: isPrivate,
      pageStates: try PageStateMap(map.addresses, private: isPrivate), vcpus: vcpus,
      services: additions.services)
  }

  /// The vCPUs, decoded by the VM description.
  /// - Throws: `VMDESC-MISSING`, `VMDESC-MISMATCH`; the errors of their fields.
  func vcpus(_ description: VMDescription?) throws(MigrationError) -> [VCPUState] {
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
}
