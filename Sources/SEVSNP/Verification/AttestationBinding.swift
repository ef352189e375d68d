internal import Cryptography
internal import Errors
internal import Wire

extension AttestationReport {
  /// Whether the key pair of `point` (97 bytes, uncompressed) made this report's signature.
  func isSigned(by point: [UInt8]) -> Bool {
    guard let key = try? P384.PublicKey(point),
      let signature = try? P384.Signature(r: signatureR, s: signatureS),
      let digest = try? SHA384.hash(signedBytes)
    else { return false }
    return (try? key.verify(signature, digest: digest)) ?? false
  }
}

extension EndorsementExtensions {
  /// The extensions of a leaf certificate that must fit the kind of key `signer`: a VCEK names a
  /// chip, and a VLEK a provider.
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
        in: .certificate,
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
          .reportSignature, "report is not signed by the certificate's key", in: .report,
          at: AttestationReport.offset(of: \.signatureR))
      }
    }
    guard let endorsement else { return }
    if let anchor {
      ledger.check(.product) { () throws(MigrationError) in
        try checkProduct(report, endorsement, anchor)
      }
    }
    ledger.check(.tcb) { () throws(MigrationError) in try checkTCB(report, endorsement) }
    // Levels are compared in the layout of the report's own product, if it names one.
    let product = report.product ?? endorsement.product
    ledger.check(.tcbOrder) { () throws(MigrationError) in
      try checkTCBOrder(report, product)
      guard report.currentFirmware.isAtLeast(report.committedFirmware) else {
        throw MigrationError(
          .reportTCB, "COMMITTED_VERSION is above CURRENT_VERSION", in: .report,
          at: AttestationReport.offset(of: \.committedVersion),
          expected: "at most \(report.currentFirmware)", got: "\(report.committedFirmware)")
      }
    }
    switch (report.keyInfo.signer, endorsement.chipIdentifier) {
    case (.vlek, _): ledger.notAsked(.chip, "a VLEK is of no single chip")
    case (_, _?) where report.fields.masksChipID && requirements.allowsMaskedChip:
      ledger.notDemanded(.chip, has: "no chip is named")
    case (_, let identifier?):
      ledger.check(.chip) { () throws(MigrationError) in try checkChip(report, identifier) }
    default: break
    }
  }

  private func checkProduct(
    _ report: AttestationReport, _ endorsement: EndorsementExtensions, _ anchor: TrustAnchor
  ) throws(MigrationError) {
    let product = endorsement.product
    if let line = anchor.namedProduct, line != product {
      throw MigrationError(
        .reportProduct, "certificate is for another product than its root",
        in: .certificate, expected: line.rawValue, got: endorsement.productName)
    }
    // Before version 3 a report has no CPU identity, and the certificate decides between products
    // with the same TCB layout. Reports this old of other products cannot be read.
    let isOld = report.cpu == nil
    guard !isOld || product == .milan || product == .genoa else {
      throw MigrationError(
        .reportProduct,
        "a report of version \(report.version) cannot be \(product.rawValue)'s: it does not tell "
          + "how its TCB is laid out", in: .report, at: AttestationReport.offset(of: \.version),
        expected: "version 3 or above", got: "version \(report.version)")
    }
    guard isOld ? report.product == nil : report.product == product else {
      throw MigrationError(
        .reportProduct, "report and certificate are of different products", in: .report,
        at: isOld
          ? AttestationReport.offset(of: \.chipID) : AttestationReport.offset(of: \.cpuidFamID),
        expected: endorsement.productName,
        got: isOld
          ? "a CHIP_ID of 8 bytes, as Turin's"
          : report.product?.rawValue ?? report.cpu.map { "family/model/stepping \($0)" })
    }
  }

  /// All eight bytes must agree; reserved bytes are zero on both sides.
  private func checkTCB(
    _ report: AttestationReport, _ endorsement: EndorsementExtensions
  ) throws(MigrationError) {
    let (reported, certified) = (report.reportedTCB, endorsement.tcb)
    guard reported != certified else { return }
    // Some firmware signs with the key for another of its TCBs, and hosts then fetch certificates
    // for that one.
    let others = [
      ("CURRENT_TCB", report.currentTCB), ("COMMITTED_TCB", report.committedTCB),
      ("LAUNCH_TCB", report.launchTCB),
    ]
    let named = others.first { $0.1 == certified }?.0
    throw MigrationError(
      .reportTCB,
      named.map { "certificate is for \($0), not for REPORTED_TCB" }
        ?? "certificate is for another TCB than the report", in: .report,
      at: AttestationReport.offset(of: \.reportedTCB),
      expected: certified.text(beside: reported, for: endorsement.product),
      got: reported.text(beside: certified, for: endorsement.product))
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
          .reportTCB, "\(lowName) is above \(highName)", in: .report, at: UInt64(offset),
          expected: "at most \(higher)", got: "\(lower)")
      }
    }
  }

  private func checkChip(
    _ report: AttestationReport, _ identifier: [UInt8]
  ) throws(MigrationError) {
    let count = identifier.count
    // Zeros identify no chip, not even one whose certificate has zeros too.
    let isMasked = report.fields.masksChipID
    guard !isMasked, report.chipID.starts(with: identifier) else {
      throw MigrationError(
        .reportChip,
        isMasked
          ? "report does not name its chip" : "certificate is of another chip than the report",
        in: .report, at: AttestationReport.offset(of: \.chipID),
        expected: isMasked ? "an identifier that is not zero" : Hex.encode(identifier),
        got: Hex.encode(report.chipID[..<count]))
    }
    let rest = report.chipID[count...]
    if let place = rest.firstIndex(where: { $0 != 0 }) {
      throw MigrationError(
        .reportChip, "CHIP_ID goes on after the identifier of the certificate's chip",
        in: .report, at: AttestationReport.offset(of: \.chipID) + UInt64(place),
        expected: "zero after \(count) bytes",
        got: Hex.encode(rest))
    }
  }
}
