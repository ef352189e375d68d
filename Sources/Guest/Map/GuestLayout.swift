package import Errors
internal import Wire

/// The guest-physical addresses at which QEMU's machines put main memory.
package enum GuestLayout {
  /// Names of the main RAM block on QEMU's x86 machines (`default_ram_id`).
  package static let mainBlocks = ["pc.ram", "microvm.ram", "ram"]

  /// The name of the main RAM block on QEMU's machine `machine`.
  package static func mainBlock(of machine: String) -> String {
    switch machine {
    case "none": "ram"
    case "microvm": "microvm.ram"
    default: "pc.ram"
    }
  }

  /// The ranges of main memory: one, or two when it does not fit below the hole that ends at 4 GiB.
  ///
  /// After QEMU's hw/i386 (pc_piix.c, pc_q35.c, microvm.c, pc.c) and hw/core/null-machine.c:
  ///
  /// - q35 keeps 2 GiB below the hole once it has 2.75 GiB (before 2.0: 2.75 GiB), or
  ///   `max-ram-below-4g` where that is less;
  /// - i440FX keeps `max-ram-below-4g`, by default 3.5 GiB; from 2.0 on, a machine with that much
  ///   memory keeps at most 3 GiB of it; isapc splits like versions before 2.0;
  /// - microvm keeps 3 GiB; `none` has no hole;
  /// - the rest starts at 4 GiB; from 7.1 on it starts at 1 TiB if the 64-bit PCI hole after it
  ///   would otherwise reach the addresses that AMD processors reserve below 1 TiB. It is assumed
  ///   that the processor is from AMD, as for every SNP guest, and that no memory can be plugged
  ///   in.
  ///
  /// Machines of vendors (`pc-q35-rhel9.2.0`, `pc-i440fx-jammy`) have the layout of 2.0 or later;
  /// where the layout depends on a later version, it is not known.
  /// - Parameters:
  ///   - machine: "q35", "pc-q35-10.0", "pc", "pc-i440fx-7.2", "isapc", "microvm", "none".
  ///   - size: bytes of main memory.
  ///   - below4G: QEMU's `max-ram-below-4g`, if it was given, at most 4 GiB. On a machine without
  ///     that option, or an unknown machine, it is the number of bytes below the hole.
  ///   - block: index of the only RAM block of main memory.
  /// - Throws: `GUEST-SHAPE` when `below4G` is not a number of whole pages; `MAP-LAYOUT` for a
  ///   machine whose layout is not known.
  package static func ranges(
    machine: String, size: UInt64, below4G: UInt64? = nil, block: Int = 0
  ) throws(MigrationError) -> [MappedRange] {
    guard let below = try below(machine: machine, size: size, limit: below4G) else {
      throw unknown(machine)
    }
    return try ranges([(block, size)], machine: machine, below: below)
  }

  /// The ranges of main memory that consists of several blocks, one after the other in this order.
  /// - Parameter below: bytes below the hole; at most the size of all blocks together.
  /// - Throws: `MAP-LAYOUT` when it is not known where `machine` puts the rest.
  static func ranges(
    _ blocks: [(index: Int, size: UInt64)], machine: String, below: UInt64
  ) throws(MigrationError) -> [MappedRange] {
    let total = blocks.reduce(0) { $0 + min($1.size, GPARange.limit) }
    let board = Board(machine)
    let rest = total - min(below, total)
    guard let start = board.map({ $0.start(ofRest: rest) }) ?? 4 * gibibyte else {
      throw unknown(machine)
    }
    var ranges: [MappedRange] = []
    var done: UInt64 = 0
    for block in blocks {
      let low = min(block.size, below - min(below, done))
      if low > 0 { ranges.append(MappedRange(block: block.index, offset: 0, gpa: done, size: low)) }
      if low < block.size {
        let above = done + low - below
        ranges.append(
          MappedRange(
            block: block.index, offset: low, gpa: start + above, size: block.size - low))
      }
      done += min(block.size, GPARange.limit)
    }
    return ranges
  }

  /// The number of bytes that `machine` keeps below the hole by its own rule; nil when that is not
  /// known.
  /// - Parameter limit: as `below4G` above.
  /// - Throws: `GUEST-SHAPE` when `limit` is zero, is not a number of whole pages or is above 4
  ///   GiB.
  static func below(
    machine: String, size: UInt64, limit: UInt64?
  ) throws(MigrationError) -> UInt64? {
    if let limit {
      guard limit > 0, limit % Page.size64 == 0, limit <= 4 * gibibyte else {
        throw MigrationError(
          .guestShape, "memory below 4 GiB is not in whole pages", expected: "4 KiB to 4 GiB",
          got: Hex.number(limit))
      }
    }
    return (Board(machine).map { $0.below(size: size, limit: limit) } ?? limit).map {
      min($0, size)
    }
  }

  /// The error for a machine whose memory layout is not known: `MAP-LAYOUT`.
  static func unknown(_ machine: String) -> MigrationError {
    MigrationError(
      .guestMap, "memory layout of this machine is not known",
      expected: "q35, pc, microvm, or the bytes below 4 GiB", got: "\"\(printable(machine))\"")
  }
}

extension GuestLayout {
  /// Whether blocks of memory backends are called `/objects/ID`, as on QEMU's machines before 4.1
  /// (`x-use-canonical-path-for-ramblock-id`, hw/core/machine.c). False where the version is not
  /// known.
  static func namesBackendsByPath(_ machine: String) -> Bool {
    Board(machine)?.isBefore(4, 1) ?? false
  }
}

private let gibibyte: UInt64 = 1 << 30

/// The properties of a QEMU machine type that decide its memory layout.
private struct Board {
  private enum Kind {
    case i440FX
    case q35
    case microvm
    case null
  }

  private enum Version {
    case newest
    case number(major: UInt16, minor: UInt16)
    case vendor

    func isAtLeast(_ major: UInt16, _ minor: UInt16) -> Bool {
      guard case .number(let ours, let part) = self else { return true }
      return (ours, part) >= (major, minor)
    }
  }

  private let kind: Kind
  private let version: Version

  /// - Returns: nil for an unknown machine.
  init?(_ machine: String) {
    let named: (Kind, Version)? =
      switch machine {
      case "q35": (.q35, .newest)
      case "pc": (.i440FX, .newest)
      // isapc splits its memory like the first PCs, whatever its version.
      case "isapc": (.i440FX, .number(major: 1, minor: 0))
      case "microvm": (.microvm, .newest)
      case "none": (.null, .newest)
      default: nil
      }
    if let named {
      (kind, version) = named
      return
    }
    for (prefix, kind) in [("pc-q35-", Kind.q35), ("pc-i440fx-", .i440FX)]
    where machine.hasPrefix(prefix) {
      guard let version = Self.version(machine.dropFirst(prefix.count)) else { return nil }
      (self.kind, self.version) = (kind, version)
      return
    }
    return nil
  }

  private static func version(_ text: Substring) -> Version? {
    guard let first = text.utf8.first else { return nil }
    guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= first else {
      // These machine types are from QEMU 1.5 and earlier.
      let isOld = text.hasPrefix("rhel6") || text.hasPrefix("rhel7.0")
      return UInt8(ascii: "a")...UInt8(ascii: "z") ~= first && !isOld ? .vendor : nil
    }
    let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt16($0) }
    guard numbers.count >= 2, !numbers.contains(nil), let major = numbers[0],
      let minor = numbers[1]
    else { return nil }
    return .number(major: major, minor: minor)
  }

  /// Whether the version is known and is lower than this one.
  func isBefore(_ major: UInt16, _ minor: UInt16) -> Bool {
    if case .number = version { return !version.isAtLeast(major, minor) }
    return false
  }

  /// The largest number of bytes that the machine keeps below the hole.
  /// - Parameter limit: `max-ram-below-4g`.
  func below(size: UInt64, limit: UInt64?) -> UInt64 {
    switch kind {
    case .q35:
      let isSplit = size >= gibibyte * 11 / 4 && version.isAtLeast(2, 0)
      return min(isSplit ? 2 * gibibyte : gibibyte * 11 / 4, limit ?? 4 * gibibyte)
    case .i440FX:
      let most = limit ?? gibibyte * 7 / 2
      return size >= most && version.isAtLeast(2, 0) ? min(most, 3 * gibibyte) : most
    case .microvm: return limit ?? 3 * gibibyte
    case .null: return limit ?? size
    }
  }

  /// The address at which memory above the hole starts; nil when that is not known.
  func start(ofRest size: UInt64) -> UInt64? {
    // The 64-bit PCI hole begins at the first whole GiB after memory, and has this size by default.
    let hole: UInt64
    switch kind {
    case .q35: hole = 32 * gibibyte
    case .i440FX: hole = 2 * gibibyte
    case .microvm, .null: return 4 * gibibyte
    }
    // No valid guest has more memory than this; the check keeps the rounding below from
    // overflowing.
    guard size <= GPARange.limit else { return 4 * gibibyte }
    let end = 4 * gibibyte + (size + gibibyte - 1) / gibibyte * gibibyte + hole
    guard end > 0xFD_0000_0000 else { return 4 * gibibyte }
    if case .vendor = version { return nil }
    return version.isAtLeast(7, 1) ? 1 << 40 : 4 * gibibyte
  }
}
