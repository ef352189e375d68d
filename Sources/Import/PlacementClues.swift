package import Errors
package import Guest
package import QEMUStream
internal import Wire

/// What the sections of a stream say of where its memory lies.
package struct PlacementClues {
  /// Names of all sections so far.
  private var names: Set<SectionName> = []
  /// Whether every section was read; false after one whose end cannot be found.
  private var isRead = true
  private var clock: (body: [UInt8], offset: UInt64)?
  private var plugged = PluggedSections()

  package init() {}

  /// Takes an event. Call it before the next event is requested.
  /// - Throws: what finding the end of a body throws.
  package mutating func take(
    _ event: StreamEvent, from reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    switch event {
    case .unreadable: isRead = false
    case .section(let header) where header.name != RAMSection.name:
      names.insert(header.name)
      let isClock = header.name == "mc146818rtc" && clock == nil
      guard isClock || PluggedMemory.Section.isDevice(header) else { return }
      let size = try reader.requireBody()
      let input = reader.input
      let body = Array(copying: input.bytes.extracting(first: size))
      if isClock { clock = (Array(body.prefix(CMOSMemory.size)), input.offset) }
      if let section = PluggedMemory.Section(header, body: body) { plugged.take(section) }
    default: break
    }
  }

  /// Tells that the stream ends early: what comes after that is not known.
  package mutating func endEarly() { isRead = false }

  /// What is known of the addresses of `blocks` by these sections and by the user.
  /// - Throws: `SECTION-LENGTH` when the section of the clock chip is too short to hold the CMOS.
  func placement(
    of blocks: [Guest.RAMBlock], on machine: String, _ additions: ImportAdditions
  ) throws(MigrationError) -> RAMPlacement {
    var placement = RAMPlacement(machine: machine)
    placement.below4G = additions.below4G
    placement.places = additions.places
    placement.excluded = additions.notRAM
    placement.cmos = try cmosMemory()
    placement.devices = memoryDevices(blocks)
    if isRead { placement.sections = Set(names.map(\.description)) }
    return placement
  }

  /// The guest-physical map of a stream's RAM blocks, for a reader that needs no guest.
  /// - Parameter offset: stream offset of what was read last, for errors.
  /// - Throws: `MAP-LAYOUT` when the addresses of a block are not known; `RAM-BLOCK`, `GUEST-SHAPE`
  ///   for a block that no guest has; `SECTION-LENGTH`.
  package func map(
    of ram: RAMDecoder, _ configuration: Configuration?, _ additions: ImportAdditions,
    at offset: UInt64
  ) throws(MigrationError) -> GuestMap {
    guard ram.page == .x86 else {
      throw MigrationError(
        .guestMap, "addresses are known of machines with pages of 4096 bytes only", in: .ram,
        at: offset, got: "\(ram.page.size)")
    }
    let machine = additions.machine ?? configuration?.machineText ?? ""
    guard !machine.isEmpty else {
      throw MigrationError(
        .guestMap, "stream does not name its machine", at: 8, expected: "\(.machine)")
    }
    let blocks = try Guest.RAMBlock.blocks(of: ram, at: offset)
    return try placement(of: blocks, on: machine, additions).map(blocks)
  }

  /// Where the blocks of a stream that was read lie; nil when that is not known.
  package func map(of reader: QEMUStreamReader) -> GuestMap? {
    try? map(
      of: reader.ram, reader.configuration, ImportAdditions(), at: reader.input.offset)
  }

  /// What the machine's CMOS says of its memory; nil without a section of its clock chip.
  private func cmosMemory() throws(MigrationError) -> CMOSMemory? {
    guard let clock else { return nil }
    guard clock.body.count >= CMOSMemory.size else {
      throw MigrationError(
        .sectionLength, "section is too short for the CMOS", in: .realTimeClock,
        at: clock.offset, expected: "at least \(CMOSMemory.size) bytes",
        got: "\(clock.body.count)")
    }
    return CMOSMemory(clock.body.span)
  }

  /// The virtio-mem devices by the names of their RAM blocks, and what their sections say of their
  /// memory.
  private func memoryDevices(_ blocks: [Guest.RAMBlock]) -> [String: MemoryDevice] {
    var devices: [String: MemoryDevice] = [:]
    let named = blocks.map { (name: $0.name, length: $0.size) }
    for (block, memory) in plugged.memories(of: named) {
      devices[blocks[block].name] =
        memory.map { MemoryDevice(gpa: $0.gpa, plugged: $0.plugged) } ?? MemoryDevice()
    }
    return devices
  }
}

extension Guest.RAMBlock {
  /// The blocks of a stream as those of a guest.
  /// - Parameter offset: where their list has ended.
  /// - Throws: `RAM-BLOCK` for a name that is not UTF-8; `GUEST-SHAPE` for a block that no guest has.
  static func blocks(
    of ram: RAMDecoder, at offset: UInt64
  ) throws(MigrationError) -> [Guest.RAMBlock] {
    var blocks: [Guest.RAMBlock] = []
    for block in ram.blocks {
      guard let name = String(validating: block.name.bytes, as: UTF8.self) else {
        throw MigrationError(
          .ramBlock, "name of a RAM block is not UTF-8", in: .ram, at: offset,
          got: "\(block.name)")
      }
      blocks.append(try Guest.RAMBlock(name: name, size: block.length))
    }
    return blocks
  }
}
