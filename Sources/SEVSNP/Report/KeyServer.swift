internal import Wire

/// Where AMD's key server (KDS; AMD document 57230, section 4) provides the certificate that
/// verifies a report.
extension AttestationReport {
  private static let keyServer = "https://kdsintf.amd.com"

  /// URLs of the VCEK that signed this report, derived from its chip identifier and TCB. There are
  /// two when the report does not distinguish Milan from Genoa. There are none when it names no
  /// chip or no known product, or is signed by another kind of key: the server gives a VLEK to its
  /// provider only.
  package var vcekAddresses: [String] {
    guard self.keyInfo.signer == .vcek, !self.keyInfo.masksChipKey, !fields.masksChipID else {
      return []
    }
    let products =
      self.product.map { [$0] } ?? (self.cpu == nil ? [Product.milan, .genoa] : [])
    return products.map { product in
      let levels = self.reportedTCB.components(for: product)
      let query = product.levels.map { level, _ in
        let number = levels[level] ?? 0
        return "\(level.amdName)=\(number < 10 ? "0" : "")\(number)"
      }
      let chip = Hex.encode(self.chipID[..<product.chipIdentifierSize])
      return "\(Self.keyServer)/vcek/v1/\(product.rawValue)/\(chip)?"
        + query.joined(separator: "&")
    }
  }

  /// The certificate that a refusal asks for: its name, and where to get it.
  var wantedCertificate: String {
    let name = AttestationChain.commonName(self.keyInfo.signer ?? .vcek)
    let addresses = vcekAddresses
    if !addresses.isEmpty { return "\(name) from \(addresses.joined(separator: " or "))" }
    return switch self.keyInfo.signer {
    case .vlek: "\(name) from the provider"
    default: "\(name) from the host: the report does not say which"
    }
  }
}
