internal import Wire

/// The processor line of a report, a certificate and its chain.
///
/// It determines the byte layout of a TCB version, the length of a chip identifier and the AMD
/// root.
package enum Product: String, Sendable, CaseIterable {
  case milan = "Milan"
  case genoa = "Genoa"
  case turin = "Turin"
  /// Its root is not built in, so its chains need a root that the user names.
  case venice = "Venice"

  /// The line of a combined family and model (CPUID leaf 1); nil when it is not known.
  ///
  /// Ranges, not single models: Bergamo and Siena (19/A0..AF) are of the Genoa line.
  package init?(_ cpu: CPUIdentity) {
    switch (cpu.family, cpu.model) {
    case (0x19, 0x00...0x0F): self = .milan
    case (0x19, 0x10...0x1F), (0x19, 0xA0...0xAF): self = .genoa
    case (0x1A, 0x00...0x11): self = .turin
    case (0x1A, 0x50...0x57), (0x1A, 0x90...0x9F), (0x1A, 0xA0...0xAF), (0x1A, 0xC0...0xC7):
      self = .venice
    default: return nil
    }
  }

  /// The line in a certificate's productName extension: "Milan-B0" and "Milan" are both Milan.
  package init?(productName: String) {
    let line = productName.prefix { $0 != "-" }
    guard let product = Product(rawValue: String(line)) else { return nil }
    self = product
  }

  /// Significant leading bytes of CHIP_ID, and the length of a certificate's hwID.
  package var chipIdentifierSize: Int {
    switch self {
    case .milan, .genoa: 64
    case .turin, .venice: 8
    }
  }
}

/// Combined family, combined model and stepping, as CPUID leaf 1 reports them.
package struct CPUIdentity: Equatable, Sendable {
  package var family: UInt8
  package var model: UInt8
  package var stepping: UInt8

  package init(family: UInt8, model: UInt8, stepping: UInt8) {
    self.family = family
    self.model = model
    self.stepping = stepping
  }

  /// From EAX of CPUID leaf 1: stepping 3:0, model 7:4, family 11:8, extended model 19:16,
  /// extended family 27:20. The secrets page holds the identity in this form.
  package init(leaf1 eax: UInt32) {
    stepping = UInt8(eax & 0xF)
    model = UInt8(eax >> 12 & 0xF0 | eax >> 4 & 0xF)
    // The base family is at most 15 and the extended family at most 255. The sum is taken modulo
    // 256, so that no input can trap.
    family = UInt8(eax >> 8 & 0xF) &+ UInt8(eax >> 20 & 0xFF)
  }

  /// EAX of CPUID leaf 1. Families below 15 have no extended part.
  package var leaf1: UInt32 {
    let base = min(UInt32(family), 15)
    let extended = UInt32(family) - base
    return UInt32(stepping & 0xF) | UInt32(model & 0xF) << 4 | base << 8
      | UInt32(model >> 4) << 16 | extended << 20
  }
}

extension CPUIdentity: CustomStringConvertible {
  package var description: String {
    [family, model, stepping].map { byte in
      Hex.encode([byte])
    }.joined(separator: "/")
  }
}
