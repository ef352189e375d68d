/// What a QEMU knows of the devices that it could make: the file that `-dump-vmstate` writes (QEMU
/// `migration/savevm.c`).
///
/// It names device *types*, not the devices of a machine, and of those only the types whose class has a
/// description. What other code registers by itself is not in it.
package struct MachineDump: Equatable, Sendable {
  /// Longest file read: 16 MiB; real ones have less than 1 MiB.
  package static let sizeLimit = 16 << 20

  /// A device type.
  package struct DeviceType: Equatable, Sendable {
    /// `ICH9-LPC`; its sections are called after the description: `0000:00:1f.0/ICH9LPC`.
    package var name: String
    package var version: UInt32
    package var minimumVersion: UInt32
    /// nil only in a file that somebody has edited.
    var state: StateLayout?
  }

  /// The machine type the dump was written with: `pc-q35-10.0`.
  package var machine: String
  /// In the order of the file.
  package var types: [DeviceType]
}

/// The device types of a dump, by the names of their descriptions.
struct DumpedSections {
  private let places: [[UInt8]: [Int]]
  private let types: [MachineDump.DeviceType]

  init(_ dump: MachineDump) {
    types = dump.types
    var places: [[UInt8]: [Int]] = [:]
    for (index, type) in types.enumerated() {
      places[Array((type.state?.name ?? type.name).utf8), default: []].append(index)
    }
    self.places = places
  }

  /// Which types have sections that end with this name, after the device's path.
  subscript(name: [UInt8]) -> [Int] { places[name] ?? [] }

  func type(_ index: Int) -> MachineDump.DeviceType { types[index] }
}
