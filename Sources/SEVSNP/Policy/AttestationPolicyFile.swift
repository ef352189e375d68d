package import Errors
internal import JSON

/// The file form of a policy (`Formats/policy.md`).
///
/// A file with an unknown key is refused, so that a misspelt demand is never ignored.
extension AttestationPolicy {
  /// The value of the key `schema`. The number after the last slash is the major version.
  package static let schema = "svsm-migration/policy/1"
  /// Largest size of a file in bytes.
  package static let maximumSize = 1 << 20
  /// The word for all bits of PLATFORM_INFO without a name, which is allowed among the forbidden
  /// bits.
  package static let unknownBits = "unknown"
  /// Largest number of elements in an array.
  package static let maximumCount = 1024

  /// The keys of the file.
  package enum Key: String, CaseIterable, Sendable {
    case schema, measurements, minimumTCB, minimumLaunchTCB, committedTCB, guestPolicy
    case minimumGuestSVN, familyID, imageID, reportID, reportIDMA, hostData, idKeyDigests
    case authorKeyDigests, chips, providers, platformInfo, minimumFirmware
    case requiredMitigations
  }

  /// Reads a policy file.
  /// - Throws: `POLICY-SYNTAX`, with the byte offset for a file that is not JSON, else with the
  ///   place as a JSON pointer.
  package init(parsing bytes: [UInt8]) throws(MigrationError) {
    let root = try DocumentValue(
      document: bytes, of: .init(.policySyntax, in: .policy, name: "policy"))
    let schema = try root.member(Key.schema.rawValue)
    guard try schema.string() == Self.schema else { throw schema.wrong("\"\(Self.schema)\"") }
    try root.requireKeys(Key.allCases.map(\.rawValue))
    func value(_ key: Key) throws(MigrationError) -> DocumentValue? {
      try root.optional(key.rawValue)
    }

    self.init()
    measurements = try value(.measurements)?.listOfBytes(48)
    minimumTCB = try value(.minimumTCB)?.levels()
    minimumLaunchTCB = try value(.minimumLaunchTCB)?.levels()
    requiresCommittedTCB = try value(.committedTCB)?.yes() ?? false
    guestPolicy = try value(.guestPolicy)?.guestPolicy()
    minimumGuestSVN = try value(.minimumGuestSVN)?.number(atLeast: 1)
    familyID = try value(.familyID)?.bytes(16)
    imageID = try value(.imageID)?.bytes(16)
    reportID = try value(.reportID)?.bytes(32)
    reportIDMA = try value(.reportIDMA)?.bytes(32)
    hostData = try value(.hostData)?.bytes(32)
    idKeyDigests = try value(.idKeyDigests)?.listOfBytes(48)
    authorKeyDigests = try value(.authorKeyDigests)?.listOfBytes(48)
    if let identifiers = try value(.chips)?.listOfBytes(64, 8) {
      // CHIP_ID is padded with zeros for products with shorter identifiers.
      chips = identifiers.map { $0 + [UInt8](repeating: 0, count: 64 - $0.count) }
    }
    providers = try value(.providers)?.names()
    if let platform = try value(.platformInfo) {
      (requiredPlatform, forbiddenPlatform) = try platform.platformBits()
    }
    minimumFirmware = try value(.minimumFirmware)?.firmware()
    requiredMitigations = try value(.requiredMitigations)?.bits()
  }
}

/// Values of a policy. A value that could never refuse, or never accept, is taken as a mistake and
/// refused.
extension DocumentValue {
  private func list() throws(MigrationError) -> some Sequence<DocumentValue> {
    try elements(atLeast: 1, limit: AttestationPolicy.maximumCount)
  }

  /// Measurements, digests or chip identifiers. All zeros are refused: firmware writes zeros where
  /// it has no value, so they identify nothing.
  fileprivate func listOfBytes(_ counts: Int...) throws(MigrationError) -> [[UInt8]] {
    var list: [[UInt8]] = []
    for element in try self.list() {
      let bytes = try element.bytes(counts)
      guard bytes.contains(where: { $0 != 0 }) else { throw element.wrong("other than zeros") }
      list.append(bytes)
    }
    return list
  }

  /// Names as they are in certificates: printable ASCII.
  fileprivate func names() throws(MigrationError) -> [String] {
    var names: [String] = []
    for element in try list() {
      let name = try element.string()
      guard 1...255 ~= name.utf8.count, name.utf8.allSatisfy({ 0x20...0x7E ~= $0 }) else {
        throw element.wrong("1 to 255 printable characters of ASCII")
      }
      names.append(name)
    }
    return names
  }

  /// A level for each component that a product has.
  fileprivate func levels() throws(MigrationError) -> [Product: TCBVersion.Components] {
    var levels: [Product: TCBVersion.Components] = [:]
    for element in try elements(atLeast: 1, limit: Product.allCases.count) {
      let name = try element.member("product")
      guard let product = Product(rawValue: try name.string()) else {
        throw name.wrong(
          "one of " + Product.allCases.map(\.rawValue).joined(separator: ", "))
      }
      guard levels[product] == nil else { throw name.wrong("each product once") }
      try element.requireKeys(["product"] + product.levels.map(\.level.rawValue))
      levels[product] = try TCBVersion.Components(of: product) { (level) throws(MigrationError) in
        try element.member(level.rawValue).number()
      }
    }
    return levels
  }

  fileprivate func yes() throws(MigrationError) -> Bool {
    guard try bool() else { throw wrong("true, or no such key") }
    return true
  }

  fileprivate func guestPolicy() throws(MigrationError) -> GuestPolicy {
    let policy = GuestPolicy(rawValue: try hexadecimal())
    guard policy.isWellFormed else { throw wrong("bit 17 set and bits 63:26 clear") }
    return policy
  }

  fileprivate func bits() throws(MigrationError) -> UInt64 {
    let bits = try hexadecimal()
    guard bits != 0 else { throw wrong("a bit that is set") }
    return bits
  }

  /// Bits of PLATFORM_INFO by name: those required and those forbidden.
  fileprivate func platformBits() throws(MigrationError) -> (PlatformInfo?, PlatformInfo?) {
    try requireKeys(["required", "forbidden"])
    let required = try optional("required")?.platformInfo(but: nil)
    let forbidden = try optional("forbidden")?.platformInfo(but: required, mayBeUnknown: true)
    guard required != nil || forbidden != nil else { throw wrong("required or forbidden") }
    return (required, forbidden)
  }

  /// - Parameters:
  ///   - others: bits that must not be named here.
  ///   - mayBeUnknown: whether to accept the word for all bits without a name.
  private func platformInfo(
    but others: PlatformInfo?, mayBeUnknown: Bool = false
  ) throws(MigrationError) -> PlatformInfo {
    var info = PlatformInfo(rawValue: 0)
    for element in try list() {
      let name = try element.string()
      if mayBeUnknown, name == AttestationPolicy.unknownBits {
        info.rawValue |= PlatformInfo.unnamed.rawValue
        continue
      }
      guard let bit = PlatformInfo.named.first(where: { $0.name == name })?.bit else {
        let names = PlatformInfo.named.map(\.name)
        throw element.wrong(
          "one of "
            + (names + (mayBeUnknown ? [AttestationPolicy.unknownBits] : []))
            .joined(separator: ", "))
      }
      guard others?.has(bit) != true else { throw element.wrong("a bit that is not required too") }
      info.rawValue |= 1 << UInt64(bit)
    }
    return info
  }

  fileprivate func firmware() throws(MigrationError) -> FirmwareVersion {
    let text = try string()
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).compactMap {
      UInt8($0)
    }
    guard parts.count == 3 else { throw wrong(#"a version such as "1.55.0""#) }
    let version = FirmwareVersion(major: parts[0], minor: parts[1], build: parts[2])
    // Only one spelling is accepted: no sign, no leading zero, nothing that is not a number.
    guard version.description == text else { throw wrong(#"a version such as "1.55.0""#) }
    guard parts.contains(where: { $0 != 0 }) else { throw wrong("a version above 0.0.0") }
    return version
  }
}
