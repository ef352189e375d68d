/// Where the main RAM block of a machine lies in guest-physical memory.
public struct MachineLayout: Equatable, Sendable {
  /// A piece of the block. All values in bytes.
  public struct Range: Equatable, Sendable {
    /// From the start of the RAM block.
    public var blockOffset: UInt64
    /// Guest-physical address.
    public var gpa: UInt64
    public var size: UInt64

    public init(blockOffset: UInt64, gpa: UInt64, size: UInt64) {
      self.blockOffset = blockOffset
      self.gpa = gpa
      self.size = size
    }
  }

  /// In address order; one, or two when RAM passes the hole below 4 GiB.
  public var ranges: [Range]

  /// Follows QEMU 2.0 and later (`hw/i386/pc_piix.c`, `pc_q35.c`, `microvm.c`): i440FX keeps
  /// 3 GiB below the hole once RAM has 3.5 GiB, q35 2 GiB once RAM has 2.75 GiB, microvm 3 GiB; the
  /// rest starts at 4 GiB. The option `max-ram-below-4g`, and the move to 1 TiB of machines with so
  /// much RAM that it meets AMD's reserved range, are not in a stream and not known here.
  /// - Parameters:
  ///   - machine: name in the configuration section: `pc-i440fx-7.2`, `q35`, `microvm`.
  ///   - size: bytes of the main RAM block.
  /// - Returns: nil for machines whose map is not known.
  public init?(machine: String, size: UInt64) {
    let gib: UInt64 = 1 << 30
    let split: (from: UInt64, below: UInt64)
    if machine == "microvm" {
      split = (3 * gib, 3 * gib)
    } else if machine == "pc" || MachineLayout.isVersion(machine, of: "pc-i440fx-") {
      split = (gib * 7 / 2, 3 * gib)
    } else if machine == "q35" || MachineLayout.isVersion(machine, of: "pc-q35-") {
      split = (gib * 11 / 4, 2 * gib)
    } else {
      return nil
    }
    guard size > 0 else { return nil }
    let below = size >= split.from ? split.below : size
    ranges = [Range(blockOffset: 0, gpa: 0, size: below)]
    if size > below {
      guard !(4 * gib).addingReportingOverflow(size - below).overflow else { return nil }
      ranges.append(Range(blockOffset: below, gpa: 4 * gib, size: size - below))
    }
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
