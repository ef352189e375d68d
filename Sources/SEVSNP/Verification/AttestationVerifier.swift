package import Cryptography
internal import Errors

/// Decides whether an attestation report is genuine and fits what the caller demands.
///
/// Trust comes from `trust` alone: certificates handed over with the report may complete a chain,
/// never anchor it. There is one path for AMD's chips and for a model's; only the root differs.
package struct AttestationVerifier: Sendable {
  /// What a report must say beyond being genuine.
  package struct Requirements: Sendable {
    /// Privilege level of the requester; nil takes any. Level 0 is an SVSM's: a guest above it
    /// can never obtain a report that says 0.
    package var vmpl: UInt32? = 0
    /// Takes a guest whose policy lets the host debug it.
    package var allowsDebug = false
    /// Takes a guest that firmware may migrate.
    package var allowsMigrationAgent = false
    /// Takes a report signed for a provider instead of for one chip.
    package var allowsVLEK = false
    /// Takes a VCEK-signed report that does not name its chip.
    package var allowsMaskedChip = false
    /// REPORT_DATA, all 64 bytes; nil takes any.
    package var reportData: [UInt8]?
    /// POLICY of the guest that is to be handed over: its peer's must be at least as strict. nil takes any.
    package var guestPolicy: GuestPolicy?
    /// What is demanded beyond all this.
    package var policy = AttestationPolicy()

    /// What a migration demands of its peer: an SVSM at level 0 on one chip, no debugging, no
    /// migration agent; and what `policy` adds.
    package static func peer(
      reportData: [UInt8], policy: AttestationPolicy = AttestationPolicy()
    ) -> Requirements {
      var requirements = Requirements()
      requirements.reportData = reportData
      requirements.policy = policy
      return requirements
    }

    /// Any genuine report, whatever guest it speaks of.
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

  /// When the certificates must be valid.
  package enum Time: Equatable, Sendable {
    /// Seconds since 1970.
    case at(Int64)
    /// When the leaf was issued: for reports kept longer than their certificates last.
    case atIssue

    /// Seconds since 1970.
    func seconds(issuing leaf: X509Certificate) -> Int64 {
      switch self {
      case .at(let seconds): seconds
      case .atIssue: leaf.notBefore
      }
    }
  }

  package var trust: [TrustAnchor]
  package var requirements: Requirements
  package var time: Time
  /// Lists that the root of each chain must have signed, and that must not name its certificates.
  /// With none, revocation is not checked.
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

  /// Makes every check that can be made. Of several chains one that passes is taken, else the one that
  /// fails last.
  ///
  /// - Parameters:
  ///   - report: the whole report.
  ///   - certificates: the signing key's certificate and, in any order, others of its chain.
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

  /// Makes every check of the report under one chain, or under what there is of one.
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
    // Without a certificate the report's own word for its product is the only one.
    return AttestationResult(
      checks: ledger.checks, report: report,
      product: chain.leaf == nil ? report?.product : endorsement?.product,
      anchor: chain.isSound(ledger) ? chain.anchor : nil, chain: chain.certificates,
      endorsement: endorsement)
  }

  private func checkDates(_ chain: AttestationChain, _ ledger: inout AttestationLedger) {
    guard let leaf = chain.leaf else { return }
    let time = self.time.seconds(issuing: leaf)
    // Of a chain that is not whole only what is wrong can be said.
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
