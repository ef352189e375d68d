internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

// Stable names that text and JSON both use.

extension ProtocolSuite {
  /// The registered names of the algorithms (RFC 9180, section 7).
  var names: String {
    let kem = kem == 0x11 ? "DHKEM(P-384, HKDF-SHA384)" : "KEM \(Hex.number(kem))"
    let kdf = kdf == 0x2 ? "HKDF-SHA384" : "KDF \(Hex.number(kdf))"
    let aead = aead == 0x2 ? "AES-256-GCM" : "AEAD \(Hex.number(aead))"
    return "\(kem), \(kdf), \(aead)"
  }
}

extension PageMetadata.Operation {
  var text: String {
    switch self {
    case .migrate: "migrate"
    case .migrateAgain: "migrate-again"
    case .cancel: "cancel"
    }
  }
}

extension SectionHeader.Kind {
  var text: String {
    switch self {
    case .start: "START"
    case .part: "PART"
    case .end: "END"
    case .full: "FULL"
    }
  }
}

extension PageState {
  var text: String {
    switch self {
    case .shared: "shared"
    case .validated: "validated"
    case .unaccepted: "unaccepted"
    case .secrets: "secrets"
    }
  }
}

extension RMPPageSize {
  var text: String { self == .size4K ? "4K" : "2M" }
}

extension GuestPolicy {
  /// The number, the lowest firmware ABI and the bits that are set.
  var text: String {
    "\(Hex.number(rawValue)): ABI \(abiMajor).\(abiMinor), \(Spelled.list(setBits))"
  }
}
