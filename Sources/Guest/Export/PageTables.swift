internal import Errors
internal import SEVSNP
internal import Wire

/// Walks the page tables of a vCPU (AMD64 APM volume 2, section 5) and lists what they map.
///
/// The tables are the guest's and may hold anything, also themselves. So the number of tables that are
/// read and of mappings that are found is limited, and an entry that leads to no memory is skipped.
/// Tables are counted against the pages that the guest's files store, not against its holes: those cost
/// nothing to claim.
struct PageTables {
  /// Consecutive virtual addresses that are mapped to consecutive guest-physical ones.
  struct Mapping: Equatable {
    var virtual: UInt64
    var gpa: UInt64
    var size: UInt64

    /// Extends the mapping by the next one, if that continues it.
    fileprivate mutating func join(_ next: Mapping) -> Bool {
      guard next.virtual == virtual &+ size, next.gpa == gpa &+ size else { return false }
      size += next.size
      return true
    }
  }

  /// One level of tables.
  fileprivate struct Level {
    /// Number of the lowest bit of a virtual address that selects an entry.
    var shift: UInt64
    var entries = 512
    /// Whether an entry may map a large page.
    var hasLargePages = false
  }

  /// The form of all tables.
  fileprivate struct Form {
    /// From the root to the pages.
    var levels: [Level]
    /// Bytes of an entry.
    var entrySize = 8
    /// Bits of a virtual address; above them it repeats the highest one. Nil where it does not.
    var signedBits: UInt64?
    /// Guest-physical address of the root.
    var root: UInt64
  }

  /// Most mappings that are listed: each takes 56 bytes in a core.
  static let mappingLimit = 1 << 18
  static let tooMany = MigrationError(
    .guestMap, "page tables map too many ranges", expected: "at most \(mappingLimit)")
  /// Tables that may be read in any case, however little the guest stores: Linux alone reaches one
  /// table 2048 times, for the stacks of its 16-bit returns.
  static let tableAllowance: UInt64 = 16384
  /// Bits 12 to 50 of an entry. Bit 51, the C-bit of Milan and later, is not part of the address.
  fileprivate static let addressMask: UInt64 = (1 << 51) - 4096

  private let guest: GuestReader
  private let form: Form
  /// Most tables that are read: a table may be reached in several ways, but not in any number.
  private let tableLimit: UInt64
  /// Tables that were read.
  private var tables: UInt64 = 0
  private var mappings: [Mapping] = []

  /// The mappings of a vCPU, in the order of virtual addresses as unsigned numbers.
  /// - Throws: `MAP-LAYOUT` when it does not use paging, or the tables map too much; `IO-READ`.
  static func mappings(of vmsa: VMSA, in guest: GuestReader) throws(MigrationError) -> [Mapping] {
    var tables = PageTables(guest, try Form(vmsa), try storedPages(of: guest))
    try tables.walk(tables.form.root, level: 0, virtual: 0)
    return tables.mappings
  }

  private init(_ guest: GuestReader, _ form: Form, _ storedPages: UInt64) {
    self.guest = guest
    self.form = form
    tableLimit = Self.tableAllowance + storedPages
  }

  /// Pages of the guest map that the guest's files store.
  private static func storedPages(of guest: GuestReader) throws(MigrationError) -> UInt64 {
    var stored: UInt64 = 0
    for range in guest.description.map.ranges {
      let end = range.offset + range.size
      var place = range.offset
      while let part = try guest.memory.nextStored(block: range.block, from: place, size: end) {
        stored += part.upperBound - part.lowerBound
        place = part.upperBound
      }
    }
    return stored / Page.size64
  }

  /// - Parameters:
  ///   - table: guest-physical address of a table.
  ///   - virtual: first virtual address that it maps.
  private mutating func walk(
    _ table: UInt64, level index: Int, virtual: UInt64
  ) throws(MigrationError) {
    let level = form.levels[index]
    let entries = try read(table, count: level.entries)
    for (number, entry) in entries.enumerated() where entry & 1 != 0 {
      let address = extended(virtual | UInt64(number) << level.shift)
      let isLarge = level.hasLargePages && entry & 1 << 7 != 0
      if isLarge || index + 1 == form.levels.count {
        try add(Mapping(virtual: address, gpa: page(entry, level), size: 1 << level.shift))
      } else {
        try walk(entry & Self.addressMask, level: index + 1, virtual: address)
      }
    }
  }

  /// The address of the page that an entry maps.
  private func page(_ entry: UInt64, _ level: Level) -> UInt64 {
    let address = entry & Self.addressMask & ~((1 << level.shift) - 1)
    // A page of 4 MiB has bits 32 to 39 of its address in bits 13 to 20.
    return form.entrySize == 4 && level.shift > 12 ? address | (entry >> 13 & 0xFF) << 32 : address
  }

  private func extended(_ address: UInt64) -> UInt64 {
    guard let bits = form.signedBits, address >> (bits - 1) & 1 != 0 else { return address }
    return address | ~0 << bits
  }

  private mutating func add(_ mapping: Mapping) throws(MigrationError) {
    if let last = mappings.indices.last, mappings[last].join(mapping) { return }
    guard mappings.count < Self.mappingLimit else { throw Self.tooMany }
    mappings.append(mapping)
  }

  /// The entries of a table; none where no memory is.
  private mutating func read(
    _ table: UInt64, count: Int
  ) throws(MigrationError) -> [UInt64] {
    guard tables < tableLimit else {
      throw MigrationError(
        .guestMap, "page tables refer to each other too often",
        expected: """
          at most \(tableLimit) tables: \(Self.tableAllowance), and one for each page that is stored
          """,
        got: "more from the root at guest-physical \(Hex.number(form.root))")
    }
    tables += 1
    let size = count * form.entrySize
    guard let place = guest.description.map.locate(table), place.available >= UInt64(size) else {
      return []
    }
    var bytes = [UInt8](repeating: 0, count: size)
    var span = bytes.mutableSpan
    try guest.memory.read(block: place.block, at: place.offset, into: &span)
    return (0..<count).map { index in
      var entry: UInt64 = 0
      for byte in (0..<form.entrySize).reversed() {
        entry = entry << 8 | UInt64(bytes[index * form.entrySize + byte])
      }
      return entry
    }
  }
}

extension PageTables.Form {
  /// The form that the control registers of a vCPU select.
  fileprivate init(_ vmsa: VMSA) throws(MigrationError) {
    guard vmsa.cr0 >> 31 & 1 == 1, !vmsa.features.vmsaRegProt else {
      throw MigrationError(
        .guestMap, "the page tables of the vCPU are not known",
        expected: "paging, and registers without protection; or a core without paging",
        got: vmsa.features.vmsaRegProt ? "protected registers" : "CR0 \(Hex.number(vmsa.cr0))")
    }
    let isLong = vmsa.efer >> 10 & 1 == 1
    let pages = PageTables.Level(shift: 12)
    let directory = PageTables.Level(shift: 21, hasLargePages: true)
    let root = vmsa.cr3 & PageTables.addressMask
    if isLong {
      var levels = [
        PageTables.Level(shift: 39), PageTables.Level(shift: 30, hasLargePages: true), directory,
        pages,
      ]
      let isDeep = vmsa.cr4 >> 12 & 1 == 1
      if isDeep { levels.insert(PageTables.Level(shift: 48), at: 0) }
      self.init(levels: levels, signedBits: isDeep ? 57 : 48, root: root)
    } else if vmsa.cr4 >> 5 & 1 == 1 {
      self.init(
        levels: [PageTables.Level(shift: 30, entries: 4), directory, pages],
        root: vmsa.cr3 & 0xFFFF_FFE0)
    } else {
      let hasLargePages = vmsa.cr4 >> 4 & 1 == 1
      self.init(
        levels: [
          PageTables.Level(shift: 22, entries: 1024, hasLargePages: hasLargePages),
          PageTables.Level(shift: 12, entries: 1024),
        ], entrySize: 4, root: vmsa.cr3 & 0xFFFF_F000)
    }
  }
}
