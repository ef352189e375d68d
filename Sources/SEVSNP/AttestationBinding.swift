internal import Bytes
internal import Cryptography

extension AttestationReport {
  /// True when the key at `point` (97 bytes, uncompressed) signed this report.
  func isSigned(by point: [UInt8]) -> Bool {
    guard let key = try? P384.PublicKey(point),
      let signature = try? P384.Signature(r: signatureR, s: signatureS),
      let digest = try? SHA384.hash(signedBytes)
    else { return false }
    return (try? key.verify(signature, digest: digest)) ?? false
  }
}

extension EndorsementExtensions {
  /// The extensions of a leaf that must be of the kind `signer` names: a VCEK is of a chip, a
  /// VLEK of a provider.
  init(_ certificate: X509Certificate, signer: KeyInfo.Signer?) throws(MigrationError) {
    try self.init(certificate)
    guard let signer else { return }
    let isRight =
      switch signer {
      case .vcek: chipIdentifier != nil && provider == nil
      case .vlek: chipIdentifier == nil && provider != nil
      }
    guard isRight else {
      throw MigrationError(
        .certificateExtension, "certificate does not name what a \(signer) is bound to",
        section: "certificate",
        expected: signer == .vcek ? "a chip and no provider" : "a provider and no chip")
    }
  }
}

extension AttestationVerifier {
  /// Checks that report and certificate belong together.
  func bind(
    _ report: AttestationReport, to leaf: X509Certificate, _ endorsement: EndorsementExtensions?,
    _ anchor: TrustAnchor?, _ ledger: inout AttestationLedger
  ) {
    ledger.check(.signature) { () throws(MigrationError) in
      guard case .p384(let point) = leaf.publicKey, report.isSigned(by: point) else {
        throw MigrationError(
          .reportSignature, "report is not signed by the certificate's key", section: "report",
          at: 0x2A0)
      }
    }
    guard let endorsement else { return }
    if let anchor {
      ledger.check(.product) { () throws(MigrationError) in
        try checkProduct(report, endorsement, anchor)
      }
    }
    ledger.check(.tcb) { () throws(MigrationError) in
      // The whole eight bytes: reserved ones are zero on both sides.
      guard report.reportedTCB == endorsement.tcb else {
        throw MigrationError(
          .reportTCB, "certificate is for another TCB than the report", section: "report",
          at: 0x180, expected: "\(endorsement.tcb.components(for: endorsement.product))",
          got: "\(report.reportedTCB.components(for: endorsement.product))")
      }
    }
    ledger.check(.tcbOrder) { () throws(MigrationError) in
      try checkTCBOrder(report, endorsement.product)
    }
    switch (report.keyInfo.signer, endorsement.chipIdentifier) {
    case (.vlek, _): ledger.notAsked(.chip, "a VLEK is of no single chip")
    case (_, let identifier?):
      ledger.check(.chip) { () throws(MigrationError) in try checkChip(report, identifier) }
    default: break
    }
  }

  private func checkProduct(
    _ report: AttestationReport, _ endorsement: EndorsementExtensions, _ anchor: TrustAnchor
  ) throws(MigrationError) {
    let product = endorsement.product
    if let genuine = anchor.product, genuine != product {
      throw MigrationError(
        .reportProduct, "certificate is for another product than its root",
        section: "certificate", expected: genuine.rawValue, got: endorsement.productName)
    }
    // Before version 3 a report has no CPU identity: the certificate decides, unless the report
    // can only be Turin's. A Turin never made so old a report.
    let isOld = report.cpu == nil
    guard isOld ? product != .turin && report.product == nil : report.product == product else {
      throw MigrationError(
        .reportProduct, "report and certificate are of different products", section: "report",
        at: isOld ? 0x000 : 0x188, expected: endorsement.productName,
        got: report.product?.rawValue ?? report.cpu.map { "family/model/stepping \($0)" }
          ?? "a report of version \(report.version)")
    }
  }

  private func checkTCBOrder(
    _ report: AttestationReport, _ product: Product
  ) throws(MigrationError) {
    let pairs = [
      ("REPORTED_TCB", report.reportedTCB, "COMMITTED_TCB", report.committedTCB, 0x180),
      ("COMMITTED_TCB", report.committedTCB, "CURRENT_TCB", report.currentTCB, 0x1E0),
      ("LAUNCH_TCB", report.launchTCB, "CURRENT_TCB", report.currentTCB, 0x1F0),
    ]
    for (lowName, low, highName, high, offset) in pairs {
      let (lower, higher) = (low.components(for: product), high.components(for: product))
      guard higher.isAtLeast(lower) else {
        throw MigrationError(
          .reportTCB, "\(lowName) is above \(highName)", section: "report", at: UInt64(offset),
          expected: "at most \(higher)", got: "\(lower)")
      }
    }
  }

  private func checkChip(
    _ report: AttestationReport, _ identifier: [UInt8]
  ) throws(MigrationError) {
    if report.fields.masksChipID, requirements.allowsMaskedChip { return }
    let padding = [UInt8](repeating: 0, count: max(64 - identifier.count, 0))
    guard report.chipID == identifier + padding else {
      throw MigrationError(
        .reportChip,
        report.fields.masksChipID
          ? "report does not name its chip" : "certificate is of another chip than the report",
        section: "report", at: 0x1A0, expected: Hex.encode(identifier),
        got: Hex.encode(report.chipID[..<identifier.count]))
    }
  }
}
