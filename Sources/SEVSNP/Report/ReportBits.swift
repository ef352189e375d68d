/// A named bit of a 64-bit AMD field, for tools that list such bits.
package struct NamedBit: Equatable, Sendable {
  package var bit: Int
  package var name: String
}

/// A 64-bit word of single-bit flags with names.
package protocol NamedBits: RawRepresentable<UInt64>, Sendable {
  /// Every bit that has a name, lowest first.
  static var named: [NamedBit] { get }
}

extension NamedBits {
  func has(_ bit: Int) -> Bool { rawValue >> UInt64(bit) & 1 == 1 }

  /// The name of `bit`, or "bit N" when it has none.
  static func name(of bit: Int) -> String {
    named.first { $0.bit == bit }?.name ?? "bit \(bit)"
  }

  /// Names of the bits that are set.
  package var setBits: [String] { (0..<64).filter(has).map(Self.name) }
}

/// The guest policy, POLICY of the report (SEV-SNP firmware ABI, "Guest policy").
///
/// Some bits are permissions, which are worse when set without need, and others are demands, which
/// are worse when clear. Two policies cannot be compared as numbers.
package struct GuestPolicy: NamedBits, Equatable {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  package static let named: [NamedBit] = [
    .init(bit: 16, name: "smt"), .init(bit: 18, name: "migrate-ma"), .init(bit: 19, name: "debug"),
    .init(bit: 20, name: "single-socket"), .init(bit: 21, name: "cxl"),
    .init(bit: 22, name: "mem-aes-256-xts"), .init(bit: 23, name: "rapl-dis"),
    .init(bit: 24, name: "ciphertext-hiding"), .init(bit: 25, name: "page-swap-disable"),
  ]

  /// Lowest firmware ABI version that the guest runs under.
  package var abiMinor: UInt8 { UInt8(rawValue & 0xFF) }
  package var abiMajor: UInt8 { UInt8(rawValue >> 8 & 0xFF) }

  /// A permission: a migration agent may be associated with the guest.
  package var allowsMigrationAgent: Bool { has(18) }
  /// A permission: the host may debug the guest.
  package var allowsDebug: Bool { has(19) }

  /// Bit 17 must be one and bits 63:26 zero.
  package var isWellFormed: Bool { has(17) && rawValue >> 26 == 0 }

  private static let permissions: UInt64 = 1 << 16 | 1 << 18 | 1 << 19 | 1 << 21
  private static let demands: UInt64 = 1 << 20 | 0b1111 << 22

  /// Whether a guest under this policy has every protection that `other` promises: no additional
  /// permissions, no missing demands, no older firmware ABI.
  package func isAtLeastAsStrict(as other: GuestPolicy) -> Bool {
    rawValue & Self.permissions & ~other.rawValue == 0
      && other.rawValue & Self.demands & ~rawValue == 0
      && (abiMajor, abiMinor) >= (other.abiMajor, other.abiMinor)
  }

  /// Names of the set bits above the ABI version, except bit 17, which is always set.
  package var setBits: [String] {
    (16..<64).filter { $0 != 17 && has($0) }.map(Self.name)
  }
}

/// State of the platform, PLATFORM_INFO of the report.
///
/// Bits without a name are kept and shown; a policy may forbid them.
package struct PlatformInfo: NamedBits, Equatable {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  package static let named: [NamedBit] = [
    .init(bit: 0, name: "smt"), .init(bit: 1, name: "tsme"), .init(bit: 2, name: "ecc"),
    .init(bit: 3, name: "rapl-disabled"), .init(bit: 4, name: "ciphertext-hiding"),
    .init(bit: 5, name: "alias-check-complete"), .init(bit: 6, name: "iommu-write-safe"),
    .init(bit: 7, name: "sev-tio"),
  ]

  /// Every bit that has no name.
  static let unnamed = PlatformInfo(
    rawValue: named.reduce(UInt64.max) { $0 & ~(1 << UInt64($1.bit)) })
}

/// KEY_INFO of the report: which key signed it.
package struct KeyInfo: RawRepresentable, Equatable, Sendable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// - Parameters:
  ///   - signer: the signing key.
  ///   - hasAuthorKey: AUTHOR_KEY_EN.
  package init(signer: Signer, hasAuthorKey: Bool = false) {
    rawValue = UInt32(signer.rawValue) << 2 | (hasAuthorKey ? 1 : 0)
  }

  /// A signing key, by its code in bits 4:2. Code 7 means no key, and codes 2 to 6 are reserved.
  package enum Signer: UInt8, Sendable {
    /// Key of one chip.
    case vcek = 0
    /// Key of a provider, for any of its machines.
    case vlek = 1
  }

  /// AUTHOR_KEY_EN: AUTHOR_KEY_DIGEST is meaningful.
  package var hasAuthorKey: Bool { rawValue & 1 == 1 }
  /// MASK_CHIP_KEY: the report is not signed.
  package var masksChipKey: Bool { rawValue >> 1 & 1 == 1 }
  /// The code in bits 4:2.
  package var signerCode: UInt8 { UInt8(rawValue >> 2 & 7) }
  /// Whether firmware did not sign: the platform masks its chip key, or the request named no key.
  package var isUnsigned: Bool { masksChipKey || signerCode == 7 }
  /// The signing key; nil when the code names none.
  package var signer: Signer? { Signer(rawValue: signerCode) }
  /// Whether bits 31:5 are zero.
  package var hasZeroReserved: Bool { rawValue >> 5 == 0 }
}

extension KeyInfo.Signer: CustomStringConvertible {
  package var description: String { self == .vcek ? "VCEK" : "VLEK" }
}

/// Version of the SEV firmware. The report stores build, minor and major, one byte each.
package struct FirmwareVersion: Equatable, Sendable, CustomStringConvertible {
  package var major: UInt8
  package var minor: UInt8
  package var build: UInt8

  package init(major: UInt8, minor: UInt8, build: UInt8) {
    self.major = major
    self.minor = minor
    self.build = build
  }

  /// Whether this version is `other` or a later one.
  package func isAtLeast(_ other: FirmwareVersion) -> Bool {
    (major, minor, build) >= (other.major, other.minor, other.build)
  }

  package var description: String { "\(major).\(minor).\(build)" }
}
