/// A dialect in which a fork of QEMU writes a confidential guest. The raw value is the name in text
/// and JSON.
///
/// A dialect is recognised by data that only that dialect has: `Formats/dialects.md`, section 2.
package enum ConfidentialDialect: String, Sendable, CaseIterable {
  /// Hygon CSV: encrypted memory.
  case hygonCSV = "hygon-csv"
  /// Hygon CSV2: encrypted CPU state too.
  case hygonCSV2 = "hygon-csv2"
  /// Hygon CSV3: pages by guest-physical address, one context for all vCPUs.
  case hygonCSV3 = "hygon-csv3"
  /// A stream with the flag of openEuler's QEMU, but without data that only a Hygon processor
  /// produces.
  case openEulerSEV = "openeuler-sev"
  /// AMD's proposal of 2021 for SEV guests.
  case amdSEV = "amd-sev"
  /// Intel's series for TDX guests.
  case intelTDX = "intel-tdx"

  /// The name for people.
  package var title: String {
    switch self {
    case .hygonCSV: "Hygon CSV, as openEuler's QEMU writes it"
    case .hygonCSV2: "Hygon CSV2, as openEuler's QEMU writes it"
    case .hygonCSV3: "Hygon CSV3, as openEuler's QEMU writes it"
    case .openEulerSEV: "SEV, as openEuler's QEMU writes it; the processor's vendor is unknown"
    case .amdSEV: "SEV, as AMD's proposal of 2021 writes it"
    case .intelTDX: "Intel TDX, as Intel's QEMU writes it"
    }
  }

  /// Whether a page record names its RAM block and the offset in it.
  package var placesPages: Bool { self != .hygonCSV3 }
}

/// The policy of a guest in the session of SEV and its relatives (AMD 55766, "Guest Policy
/// Structure"; bits 6 and 7 are Hygon's: openEuler QEMU, `target/i386/csv.h`).
package struct SEVPolicy: Equatable, Sendable {
  package var rawValue: UInt32

  /// The guest must not be sent to another platform.
  static let noSend: UInt32 = 1 << 3
  static let encryptedState: UInt32 = 1 << 2
  static let csv3: UInt32 = 1 << 6

  private static let names = [
    "no-debug", "no-key-sharing", "encrypted-state", "no-send", "domain", "sev", "csv3",
    "reuse-asid",
  ]

  /// Names of the bits that are set.
  package var setBits: [String] {
    Self.names.enumerated().filter { rawValue >> UInt32($0.offset) & 1 == 1 }.map(\.element)
  }

  var hasEncryptedState: Bool { rawValue & Self.encryptedState != 0 }
  var isCSV3: Bool { rawValue & Self.csv3 != 0 && hasEncryptedState }
}
