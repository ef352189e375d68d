package import Errors
internal import Wire

/// What a user says of a RAM block: that it is memory of the guest, and where.
package struct RAMPlace: Sendable, Hashable {
  package var block: String
  /// Guest-physical address of its first byte; nil for a part of main memory, which begins at 0.
  package var gpa: UInt64?

  package init(block: String, gpa: UInt64? = nil) { (self.block, self.gpa) = (block, gpa) }

  /// - Parameter text: `BLOCK` or `BLOCK@GPA`; the number as `byteCount` reads it.
  /// - Returns: nil when it names no block.
  package init?(parsing text: String) {
    block = text
    if let mark = text.lastIndex(of: "@"), let gpa = byteCount(text[text.index(after: mark)...]) {
      (block, self.gpa) = (String(text[..<mark]), gpa)
    }
    if block.isEmpty { return nil }
  }
}

/// A device that plugs memory in, and where its section says that this lies.
package struct MemoryDevice: Sendable, Hashable {
  /// Guest-physical address of the memory, and its bytes; nil when the stream does not say.
  package let region: Region?

  package struct Region: Sendable, Hashable {
    let gpa: UInt64
    let size: UInt64
  }

  /// Of a device whose section says nothing.
  package init() { region = nil }

  package init(gpa: UInt64, size: UInt64) { region = Region(gpa: gpa, size: size) }
}

/// What is known of where the RAM blocks of a guest lie.
///
/// Every block that may be memory of the guest gets an address, or there is no map: what is left out
/// of the map is shared, and would leave in the clear. Names tell what a block is, and addresses come
/// from the CMOS, from devices' sections and from the user; no size decides anything. It must fit.
package struct RAMPlacement: Sendable {
  package var machine: String
  /// QEMU's `max-ram-below-4g`, where it was given.
  package var below4G: UInt64?
  /// Nil when the stream has none.
  package var cmos: CMOSMemory?
  /// By their paths, which the names of their RAM blocks begin with.
  package var devices: [String: MemoryDevice] = [:]
  /// What the user says. Blocks without address are all of main memory, in this order.
  package var places: [RAMPlace] = []
  /// Blocks that are no memory of the guest, as the user says.
  package var excluded: [String] = []

  package init(machine: String) { self.machine = machine }

  /// The map of `blocks`.
  /// - Throws: `MAP-LAYOUT` when a block that may be memory of the guest cannot be placed, main memory
  ///   is not what the CMOS counts, a name is not a block's, or blocks overlap; `GUEST-SHAPE` when
  ///   `below4G` is not in whole pages.
  package func map(_ blocks: [RAMBlock]) throws(MigrationError) -> GuestMap {
    try checkNames(blocks)
    var main: [Int] = places.filter { $0.gpa == nil }.compactMap { index(of: $0.block, blocks) }
    let isTold = !main.isEmpty
    let told = Set(places.map(\.block) + excluded)
    var ranges: [MappedRange] = []
    for place in places {
      guard let gpa = place.gpa, let index = index(of: place.block, blocks) else { continue }
      try check(place, blocks[index])
      ranges.append(MappedRange(block: index, offset: 0, gpa: gpa, size: blocks[index].size))
    }
    var open = blocks.indices.filter { !told.contains(blocks[$0].name) && !isDevice(blocks[$0]) }
    try placeDevices(blocks, &open, &ranges)
    if !isTold, places.isEmpty || !open.isEmpty { main = mainMemory(among: &open, blocks) }
    if !main.isEmpty { ranges += try mainRanges(main, blocks, isTold: isTold) }
    if let block = open.first { throw unplaced(blocks, open, block, main) }
    // Main memory begins at address 0 on every machine: without it a block was left out.
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
          .guestMap, "two options say where one RAM block lies", got: "\"\(printable(name))\"")
      }
    }
  }

  /// The device that has plugged a block in.
  private func device(of block: RAMBlock) -> MemoryDevice? {
    block.name.lastIndex(of: "/").flatMap { devices[String(block.name[..<$0])] }
  }

  private func isDevice(_ block: RAMBlock) -> Bool {
    BlockRole(ofBlock: block.name, on: machine) == .device && device(of: block) == nil
  }

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(8).map { "\"\(printable($0))\"" }.joined(separator: ", ")
    return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
  }

  // MARK: Plugged memory

  /// An address that is told must be the one of the device's section.
  private func check(_ place: RAMPlace, _ block: RAMBlock) throws(MigrationError) {
    guard let region = device(of: block)?.region, let gpa = place.gpa, gpa != region.gpa else {
      return
    }
    throw MigrationError(
      .guestMap,
      "the section of the device that plugs \"\(printable(block.name))\" in says another "
        + "address", expected: Hex.number(region.gpa), got: Hex.number(gpa))
  }

  /// Places the blocks of devices whose sections say where.
  private func placeDevices(
    _ blocks: [RAMBlock], _ open: inout [Int], _ ranges: inout [MappedRange]
  ) throws(MigrationError) {
    for index in open {
      guard let region = device(of: blocks[index])?.region else { continue }
      guard region.size == blocks[index].size else {
        throw MigrationError(
          .guestMap,
          "the section of the device that plugs \"\(printable(blocks[index].name))\" in "
            + "says another size", expected: Hex.number(blocks[index].size),
          got: Hex.number(region.size))
      }
      ranges.append(
        MappedRange(block: index, offset: 0, gpa: region.gpa, size: region.size))
    }
    open.removeAll { device(of: blocks[$0])?.region != nil }
  }

  /// `MAP-LAYOUT` for the first block that cannot be placed.
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
        : "RAM block \"\(name)\" may be memory of the guest, and the stream does not say where it lies",
      expected: expected, got: "\(Self.list(open.map { blocks[$0].name }))")
  }

  /// Where QEMU's device memory begins (hw/i386/pc.c, `pc_get_device_memory_range`): at a whole GiB
  /// behind main memory above 4 GiB.
  private func pluggedStart(_ blocks: [RAMBlock], _ main: [Int]) -> UInt64 {
    let end = (try? mainRanges(main, blocks, isTold: true))?.last?.end ?? 0
    let gibibyte: UInt64 = 1 << 30
    return (max(end, 4 * gibibyte) + gibibyte - 1) / gibibyte * gibibyte
  }

  // MARK: Main memory

  /// Takes the blocks of main memory out of those that may be.
  /// - Returns: the blocks in order; none when that is not known.
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
    // Who says both knows better than a guest's CMOS.
    if let cmos, !(isTold && below4G != nil) {
      let counted = cmos.below(of: total, by: rule)
      guard let counted, below4G == nil || counted == rule else {
        throw MigrationError(
          .guestMap,
          counted == nil
            ? "main memory is not what the machine's CMOS counts"
            : "\(.below4G) is not what the machine's CMOS says",
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
  /// The memory that is private.
  /// - Parameter wanted: all memory, or ranges of it.
  /// - Throws: `MAP-LAYOUT` when an address of a range has no memory.
  package func memory(in wanted: GPARangeSet) throws(MigrationError) -> GPARangeSet {
    let found = wanted.intersection(addresses)
    guard wanted == .all || found == wanted else {
      throw MigrationError(
        .guestMap, "no memory is there to be private", expected: "\(addresses)",
        got: Hex.number(wanted.firstDifference(from: found).gpa))
    }
    return found
  }
}
