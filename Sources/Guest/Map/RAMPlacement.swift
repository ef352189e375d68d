package import Errors
internal import SEVSNP
internal import Wire

/// A user's statement that a RAM block is guest memory, optionally with its address.
package struct RAMPlace: Sendable, Hashable {
  /// Name of the RAM block.
  package var block: String
  /// Guest-physical address of the block's first byte; nil for a part of main memory, which begins
  /// at 0.
  package var gpa: UInt64?

  package init(block: String, gpa: UInt64? = nil) { (self.block, self.gpa) = (block, gpa) }

  /// - Parameter text: `BLOCK` or `BLOCK@GPA`, with a number as `byteCount` reads it.
  /// - Returns: nil when the name of the block is empty.
  package init?(parsing text: String) {
    block = text
    if let mark = text.lastIndex(of: "@"), let gpa = byteCount(text[text.index(after: mark)...]) {
      (block, self.gpa) = (String(text[..<mark]), gpa)
    }
    if block.isEmpty { return nil }
  }
}

/// A device that plugs memory in, and what its section says of that.
package struct MemoryDevice: Sendable, Hashable {
  /// Where the device's RAM block lies, and which of it is plugged in; nil when the stream does not say.
  package let region: Region?

  /// A range of guest-physical memory: address and size in bytes.
  package struct Region: Sendable, Hashable {
    /// Guest-physical address of the block's first byte.
    let gpa: UInt64
    /// Offsets in the block.
    let plugged: [Range<UInt64>]
  }

  /// A device whose section does not give the address of its memory.
  package init() { region = nil }

  package init(gpa: UInt64, plugged: [Range<UInt64>]) {
    region = Region(gpa: gpa, plugged: plugged)
  }
}

extension MemoryDevice.Region {
  /// The memory that is there.
  /// - Parameter block: number of the device's RAM block.
  fileprivate func ranges(of block: Int) -> [MappedRange] {
    plugged.map {
      MappedRange(
        block: block, offset: $0.lowerBound, gpa: gpa &+ $0.lowerBound,
        size: $0.upperBound - $0.lowerBound)
    }
  }
}

/// Everything that is known about the addresses of a guest's RAM blocks (`Formats/guest-bundle.md`,
/// section 11).
///
/// Every block that may be guest memory gets an address, or there is no map: a block outside the
/// map is shared, and would leave in the clear. The role of a block follows from its name, and
/// addresses come from the CMOS, from the sections of devices and from the user. Sizes decide
/// nothing, but must fit.
package struct RAMPlacement: Sendable {
  /// QEMU's name of the machine type.
  package var machine: String
  /// QEMU's `max-ram-below-4g`; nil when it was not given.
  package var below4G: UInt64?
  /// Sizes according to the CMOS; nil when the stream has no CMOS.
  package var cmos: CMOSMemory?
  /// Devices that plug in memory, by the name of each RAM block below their path. A device has one
  /// such block; of any other its section does not say where it lies.
  package var devices: [String: MemoryDevice] = [:]
  /// Names of the stream's sections; nil when they are not known.
  package var sections: Set<String>?
  /// The user's statements. If any block has no address, the blocks without address are all of main
  /// memory, in this order.
  package var places: [RAMPlace] = []
  /// Names of blocks that are not guest memory, as the user says.
  package var excluded: [String] = []

  package init(machine: String) { self.machine = machine }

  /// The guest-physical map of `blocks`.
  /// - Throws: `MAP-LAYOUT` when a block that may be guest memory cannot be placed, main memory
  ///   does not fit the CMOS, a name is not that of a block, or blocks overlap; `GUEST-SHAPE` when
  ///   `below4G` is not a number of whole pages.
  package func map(_ blocks: [RAMBlock]) throws(MigrationError) -> GuestMap {
    try checkNames(blocks)
    var main: [Int] = places.filter { $0.gpa == nil }.compactMap { index(of: $0.block, blocks) }
    let isTold = !main.isEmpty
    let told = Set(places.map(\.block) + excluded)
    var ranges: [MappedRange] = []
    for place in places {
      guard let gpa = place.gpa, let index = index(of: place.block, blocks) else { continue }
      try check(place, blocks[index])
      ranges +=
        device(of: blocks[index])?.region?.ranges(of: index)
        ?? [MappedRange(block: index, offset: 0, gpa: gpa, size: blocks[index].size)]
    }
    var open = blocks.indices.filter { !told.contains(blocks[$0].name) && !isDevice(blocks[$0]) }
    placeDevices(blocks, &open, &ranges)
    if !isTold, places.isEmpty || !open.isEmpty { main = mainMemory(among: &open, blocks) }
    if !main.isEmpty { ranges += try mainRanges(main, blocks, isTold: isTold) }
    if let block = open.first { throw unplaced(blocks, open, block, main) }
    // Main memory begins at address 0 on every machine: if no range does, a block was left out.
    guard ranges.contains(where: { $0.gpa == 0 }) else {
      throw MigrationError(
        .guestMap, "no RAM block is main memory of the guest", expected: "\(.ram) BLOCK",
        got: "\(Self.list(blocks.map(\.name)))")
    }
    return try GuestMap(ranges.sorted { $0.gpa < $1.gpa }, blocks: blocks)
  }

  // MARK: Names

  private func index(of name: String, _ blocks: [RAMBlock]) -> Int? {
    blocks.firstIndex { $0.name == name }
  }

  private func checkNames(_ blocks: [RAMBlock]) throws(MigrationError) {
    var seen: Set<String> = []
    for name in places.map(\.block) + excluded {
      guard index(of: name, blocks) != nil else {
        throw MigrationError(
          .guestMap, "no RAM block has this name", expected: Self.list(blocks.map(\.name)),
          got: "\"\(printable(name))\"")
      }
      guard seen.insert(name).inserted else {
        throw MigrationError(
          .guestMap, "RAM block is named by two options: give it once",
          got: "\"\(printable(name))\"")
      }
    }
  }

  /// The device that has plugged in a block; nil when there is none.
  private func device(of block: RAMBlock) -> MemoryDevice? {
    devices[block.name]
  }

  /// Whether a block is memory of a device or of firmware: its name says so, and neither its size nor the
  /// sections of the stream speak against it.
  private func isDevice(_ block: RAMBlock) -> Bool {
    guard BlockRole(ofBlock: block.name, on: machine) == .device, device(of: block) == nil else {
      return false
    }
    let name = block.name.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    let path = block.name.prefix(upTo: name.startIndex)
    return DeviceMemory.known(name)?.fits(block, path: path, among: sections) ?? true
  }

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(8).map { "\"\(printable($0))\"" }.joined(separator: ", ")
    return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
  }

  // MARK: Plugged memory

  /// Checks that an address from the user equals the one in the device's section, if there is one.
  private func check(_ place: RAMPlace, _ block: RAMBlock) throws(MigrationError) {
    guard let region = device(of: block)?.region, let gpa = place.gpa, gpa != region.gpa else {
      return
    }
    throw MigrationError(
      .guestMap,
      "address of RAM block \"\(printable(block.name))\" differs from that in its "
        + "device's section", expected: Hex.number(region.gpa), got: Hex.number(gpa))
  }

  /// Places the blocks of devices whose sections give an address.
  private func placeDevices(
    _ blocks: [RAMBlock], _ open: inout [Int], _ ranges: inout [MappedRange]
  ) {
    for index in open {
      guard let region = device(of: blocks[index])?.region else { continue }
      ranges += region.ranges(of: index)
    }
    open.removeAll { device(of: blocks[$0])?.region != nil }
  }

  /// The error for the first block that cannot be placed: `MAP-LAYOUT`.
  private func unplaced(
    _ blocks: [RAMBlock], _ open: [Int], _ block: Int, _ main: [Int]
  ) -> MigrationError {
    let name = printable(blocks[block].name)
    let expected: Wording
    if main.isEmpty {
      expected = "\(.ram) BLOCK for each block of main memory, in order"
    } else {
      expected =
        """
        \(.ram) \(name)@GPA (QEMU plugs the first block in at \(Hex.number(pluggedStart(blocks, main)))), \
        or \(.notRAM) \(name)
        """
    }
    return MigrationError(
      .guestMap,
      main.isEmpty
        ? "the stream does not say which RAM block is main memory"
        : "RAM block \"\(name)\" may be guest memory, but the stream does not give its address",
      expected: expected, got: "\(Self.list(open.map { blocks[$0].name }))")
  }

  /// The address at which QEMU's device memory begins (hw/i386/pc.c, `pc_get_device_memory_range`):
  /// the first whole GiB at or above both 4 GiB and the end of main memory.
  private func pluggedStart(_ blocks: [RAMBlock], _ main: [Int]) -> UInt64 {
    let end = (try? mainRanges(main, blocks, isTold: true))?.last?.end ?? 0
    let gibibyte: UInt64 = 1 << 30
    return (max(end, 4 * gibibyte) + gibibyte - 1) / gibibyte * gibibyte
  }

  // MARK: Main memory

  /// Removes the blocks of main memory from the candidates in `open`.
  /// - Returns: these blocks in order; empty when main memory is not known.
  private func mainMemory(among open: inout [Int], _ blocks: [RAMBlock]) -> [Int] {
    let roles = open.map { (index: $0, role: BlockRole(ofBlock: blocks[$0].name, on: machine)) }
    let whole = roles.filter { $0.role == .main }
    let nodes = roles.compactMap { index, role -> (index: Int, node: UInt32)? in
      if case .node(let node) = role { (index, node) } else { nil }
    }.sorted { $0.node < $1.node }
    let main: [Int]
    switch (whole.count, nodes.count) {
    case (1, 0): main = [whole[0].index]
    case (0, 1...) where Set(nodes.map(\.node)).count == nodes.count: main = nodes.map(\.index)
    case (0, 0) where open.count == 1 && device(of: blocks[open[0]]) == nil: main = open
    default: main = []
    }
    open.removeAll { main.contains($0) }
    return main
  }

  private func mainRanges(
    _ main: [Int], _ blocks: [RAMBlock], isTold: Bool
  ) throws(MigrationError) -> [MappedRange] {
    let total = main.reduce(0) { $0 + blocks[$1].size }
    guard
      let rule = try GuestLayout.below(machine: machine, size: total, limit: below4G)
    else { throw GuestLayout.unknown(machine) }
    var below = rule
    // A user who gives both options overrides the CMOS, which the guest can write.
    if let cmos, !(isTold && below4G != nil) {
      let counted = cmos.below(of: total, by: rule)
      guard let counted, below4G == nil || counted == rule else {
        throw MigrationError(
          .guestMap,
          counted == nil
            ? "size of main memory differs from the machine's CMOS"
            : "\(.below4G) differs from the machine's CMOS",
          in: .realTimeClock, expected: "\(cmos)",
          got: "\(Hex.number(total)) bytes in \(Self.list(main.map { blocks[$0].name }))")
      }
      below = counted
    }
    return try GuestLayout.ranges(
      main.map { ($0, blocks[$0].size) }, machine: machine, below: below)
  }
}

extension GuestMap {
  /// The part of the mapped memory that is to be private.
  /// - Parameter wanted: `.all` for all memory, or ranges of it.
  /// - Throws: `MAP-LAYOUT` when an address of a range has no memory.
  package func memory(in wanted: GPARangeSet) throws(MigrationError) -> GPARangeSet {
    let found = wanted.intersection(addresses)
    if wanted != .all, let gpa = wanted.addresses.firstDifference(from: found.addresses) {
      throw MigrationError(
        .guestMap, "private range has no memory", expected: "\(addresses)", got: Hex.number(gpa))
    }
    return found
  }
}
