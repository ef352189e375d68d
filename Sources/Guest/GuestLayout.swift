public import Bytes

/// Where QEMU's machines put their main RAM block.
public enum GuestLayout {
  private static let gibibyte: UInt64 = 1 << 30

  /// The ranges of the main RAM block: one, or two when it passes the hole below 4 GiB.
  ///
  /// After QEMU's hw/i386 (pc_q35.c, pc_piix.c, microvm.c) since 2.0: q35 keeps 2 GiB below the
  /// hole once it has 2.75 GiB, i440FX 3 GiB once it has 3.5 GiB, microvm 3 GiB; the rest starts at
  /// 4 GiB. The move to 1 TiB of machines with so much RAM that it meets AMD's reserved range is not
  /// known here.
  /// - Parameters:
  ///   - machine: "q35", "pc-q35-10.0", "pc", "pc-i440fx-7.2", "microvm".
  ///   - size: bytes of the block.
  ///   - below4G: bytes below the hole where they are given (QEMU's max-ram-below-4g), at most
  ///     4 GiB; any machine will do then.
  ///   - block: index of the block.
  /// - Throws: `GUEST-SHAPE` when `below4G` is not in whole pages; `MAP-LAYOUT` for a machine
  ///   whose layout is not known.
  public static func ranges(
    machine: String, size: UInt64, below4G: UInt64? = nil, block: Int = 0
  ) throws(MigrationError) -> [MappedRange] {
    let below: UInt64
    if let below4G {
      guard below4G > 0, below4G % 4096 == 0, below4G <= 4 * gibibyte else {
        throw MigrationError(
          .guestShape, "memory below 4 GiB is not in whole pages", expected: "4 KiB to 4 GiB",
          got: hex(below4G))
      }
      below = min(below4G, size)
    } else if let split = split(of: machine) {
      below = size >= split.from ? split.below : size
    } else {
      throw MigrationError(
        .guestMap, "memory layout of this machine is not known",
        expected: "q35, pc, microvm, or the bytes below 4 GiB", got: "\"\(printable(machine))\"")
    }
    var ranges = [MappedRange(block: block, offset: 0, gpa: 0, size: below)]
    if below < size {
      ranges.append(
        MappedRange(block: block, offset: below, gpa: 4 * gibibyte, size: size - below))
    }
    return ranges
  }

  /// From which size on a machine splits its RAM, and how much stays below the hole then.
  private static func split(of machine: String) -> (from: UInt64, below: UInt64)? {
    if machine == "q35" || isVersion(machine, of: "pc-q35-") {
      return (gibibyte * 11 / 4, 2 * gibibyte)
    }
    if machine == "pc" || isVersion(machine, of: "pc-i440fx-") {
      return (gibibyte * 7 / 2, 3 * gibibyte)
    }
    return machine == "microvm" ? (3 * gibibyte, 3 * gibibyte) : nil
  }
  /// Whether `machine` is `prefix` and a version of 2.0 or later; older ones split elsewhere.
  private static func isVersion(_ machine: String, of prefix: String) -> Bool {
    guard machine.hasPrefix(prefix) else { return false }
    let numbers = machine.dropFirst(prefix.count).split(
      separator: ".", omittingEmptySubsequences: false)
    guard numbers.count >= 2, let major = UInt16(numbers[0]) else { return false }
    return major >= 2 && numbers.dropFirst().allSatisfy { UInt16($0) != nil }
  }
}
