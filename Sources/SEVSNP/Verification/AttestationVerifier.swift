package import Cryptography
internal import Errors

/// Decides whether an attestation report is genuine and meets the caller's demands.
///
/// Trust comes from `trust` alone: certificates supplied with the report may complete a chain but
/// never anchor it. Reports of AMD's chips and of model chips are verified in the same way; only
/// the root differs.
package struct AttestationVerifier: Sendable {
  /// What a report must show in addition to being genuine.
  package struct Requirements: Sendable {
    /// VMPL of the requester; nil accepts any. Level 0 is the SVSM's: software at another level can
    /// never obtain a report that states 0.
    package var vmpl: UInt32? = 0
    /// Whether to accept a guest whose policy lets the host debug it.
    package var allowsDebug = false
    /// Whether to accept a guest that firmware may migrate.
    package var allowsMigrationAgent = false
    /// Whether to accept a report signed for a provider instead of for one chip.
    package var allowsVLEK = false
    /// Whether to accept a VCEK-signed report that does not name its chip.
    package var allowsMaskedChip = false
    /// REPORT_DATA, all 64 bytes; nil accepts any.
    package var reportData: [UInt8]?
    /// POLICY of the guest that is to be handed over. Its peer's POLICY must be at least as strict;
    /// nil accepts any.
    package var guestPolicy: GuestPolicy?
    /// Further demands.
    package var policy = AttestationPolicy()

    /// What a migration demands of its peer: an SVSM at VMPL 0 on one chip, no debugging, no
    /// migration agent, and the demands of `policy`.
    package static func peer(
      reportData: [UInt8], policy: AttestationPolicy = AttestationPolicy()
    ) -> Requirements {
      var requirements = Requirements()
      requirements.reportData = reportData
      requirements.policy = policy
      return requirements
    }

    /// Accepts any genuine report, whichever guest it is about.
    package static let anyGuest: Requirements = {
      var requirements = Requirements()
      requirements.vmpl = nil
      requirements.allowsDebug = true
      requirements.allowsMigrationAgent = true
      requirements.allowsVLEK = true
      requirements.allowsMaskedChip = true
      return requirements
    }()

    package init() {}
  }

  /// The time at which the certificates must be valid.
  package enum Time: Equatable, Sendable {
    /// A fixed time, in seconds since 1970.
    case at(Int64)
    /// The time when the leaf was issued, for reports that are kept longer than their certificates
    /// are valid.
    case atIssue

    /// The time in seconds since 1970.
    func seconds(issuing leaf: X509Certificate) -> Int64 {
      switch self {
      case .at(let seconds): seconds
      case .atIssue: leaf.notBefore
      }
    }
  }

  /// Trusted roots, each with the intermediates known under it.
  package var trust: [TrustAnchor]
  package var requirements: Requirements
  /// The time at which the certificates must be valid.
  package var time: Time
  /// Revocation lists, which the root of each chain must have signed and which must not name its
  /// certificates. Without any, revocation is not checked.
  package var revocationLists: [X509RevocationList]

  package init(
    trust: [TrustAnchor], requirements: Requirements = Requirements(), time: Time,
    revocationLists: [X509RevocationList] = []
  ) {
    self.trust = trust
    self.requirements = requirements
    self.time = time
    self.revocationLists = revocationLists
  }

  /// Makes every check that can be made. Of several chains, the first under which the report is
  /// accepted is used; if there is none, the one whose first failure comes last.
  ///
  /// - Parameters:
  ///   - report: the whole report.
  ///   - certificates: the signing key's certificate and others of its chain, in any order.
  package func verify(report bytes: [UInt8], certificates: [X509Certificate]) -> AttestationResult {
    let supplied = ChainLinks.ordered(certificates)
    let report = try? AttestationReport(unchecked: bytes)
    let chains = ChainLinks.all(trust: trust, supplied: supplied, report: report)
    var best: AttestationResult?
    for chain in chains {
      let result = judge(bytes, supplied, chain)
      if result.isAccepted { return result }
      if best.map({ $0.failurePlace < result.failurePlace }) ?? true { best = result }
    }
    return best ?? judge(bytes, supplied, nil)
  }

  /// Makes every check of the report under one complete chain, or under the parts of one that
  /// exist.
  private func judge(
    _ bytes: [UInt8], _ supplied: [X509Certificate], _ links: ChainLinks?
  ) -> AttestationResult {
    var ledger = AttestationLedger()
    let report = ledger.check(.form) { () throws(MigrationError) in
      let report = try AttestationReport(unchecked: bytes)
      try report.checkVersion()
      return report
    }
    if let report {
      ledger.check(.policyForm, report.checkPolicyForm)
      ledger.check(.reserved, report.checkReserved)
      ledger.check(.signingKey, report.checkSigningKey)
      ledger.check(.signatureForm, report.checkSignatureForm)
      ledger.check(.requester, report.checkRequester)
    }
    let chain = AttestationChain(
      trust: trust, supplied: supplied, report: report, links: links, &ledger)
    var endorsement: EndorsementExtensions?
    if let leaf = chain.leaf {
      checkDates(chain, &ledger)
      checkRevocation(chain, &ledger)
      endorsement = ledger.check(.extensions) { () throws(MigrationError) in
        try EndorsementExtensions(leaf, signer: report?.keyInfo.signer)
      }
      if let report {
        bind(report, to: leaf, endorsement, chain.anchor, &ledger)
      }
    }
    if let report {
      checkSigner(report, endorsement, &ledger)
      checkRequirements(report, &ledger)
      checkPolicy(report, endorsement, &ledger)
    }
    // Without a certificate, the product is known only from the report itself.
    return AttestationResult(
      checks: ledger.checks, report: report,
      product: chain.leaf == nil ? report?.product : endorsement?.product,
      anchor: chain.isSound(ledger) ? chain.anchor : nil, chain: chain.certificates,
      endorsement: endorsement)
  }

  private func checkDates(_ chain: AttestationChain, _ ledger: inout AttestationLedger) {
    guard let leaf = chain.leaf else { return }
    let time = self.time.seconds(issuing: leaf)
    // For an incomplete chain, only failures can be reported.
    guard chain.anchor != nil || chain.certificates.contains(where: { !$0.isValid(at: time) })
    else { return }
    ledger.check(.dates) { () throws(MigrationError) in
      for certificate in chain.certificates where !certificate.isValid(at: time) {
        let name = AttestationChain.name(of: certificate)
        throw MigrationError(
          .certificateDate,
          time < certificate.notBefore ? "\(name) is not valid yet" : "\(name) has expired",
          in: .certificate,
          expected: "\(CivilDate.text(certificate.notBefore)) to "
            + CivilDate.text(certificate.notAfter),
          got: CivilDate.text(time))
      }
    }
  }
}
