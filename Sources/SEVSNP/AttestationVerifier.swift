internal import Bytes
public import Cryptography

/// Decides whether an attestation report is genuine and fits what the caller demands.
///
/// Trust comes from `trust` alone: certificates handed over with the report may complete a chain,
/// never anchor it. There is one path for AMD's chips and for a model's; only the root differs.
public struct AttestationVerifier: Sendable {
  /// What a report must say beyond being genuine.
  public struct Requirements: Sendable {
    /// Privilege level of the requester; nil takes any. Level 0 is an SVSM's: a guest above it
    /// can never obtain a report that says 0.
    public var vmpl: UInt32? = 0
    /// Takes a guest whose policy lets the host debug it.
    public var allowsDebug = false
    /// Takes a guest that firmware may migrate.
    public var allowsMigrationAgent = false
    /// Takes a report signed for a provider instead of for one chip.
    public var allowsVLEK = false
    /// Takes a VCEK-signed report that does not name its chip.
    public var allowsMaskedChip = false
    /// REPORT_DATA, all 64 bytes; nil takes any.
    public var reportData: [UInt8]?
    /// POLICY of the guest that is to be handed over: its peer's must be at least as strict. nil takes any.
    public var guestPolicy: GuestPolicy?
    /// What is demanded beyond all this.
    public var policy = AttestationPolicy()

    /// What a migration demands of its peer: an SVSM at level 0 on one chip, no debugging, no
    /// migration agent; and what `policy` adds.
    public static func peer(
      reportData: [UInt8], policy: AttestationPolicy = AttestationPolicy()
    ) -> Requirements {
      var requirements = Requirements()
      requirements.reportData = reportData
      requirements.policy = policy
      return requirements
    }

    /// Any genuine report, whatever guest it speaks of.
    public static let anyGuest: Requirements = {
      var requirements = Requirements()
      requirements.vmpl = nil
      requirements.allowsDebug = true
      requirements.allowsMigrationAgent = true
      requirements.allowsVLEK = true
      requirements.allowsMaskedChip = true
      return requirements
    }()

    public init() {}
  }

  /// When the certificates must be valid.
  public enum Time: Equatable, Sendable {
    /// Seconds since 1970.
    case at(Int64)
    /// When the leaf was issued: for reports kept longer than their certificates last.
    case atIssue
  }

  public var trust: [TrustAnchor]
  public var requirements: Requirements
  public var time: Time

  public init(trust: [TrustAnchor], requirements: Requirements = Requirements(), time: Time) {
    self.trust = trust
    self.requirements = requirements
    self.time = time
  }

  /// Makes every check that can be made.
  ///
  /// - Parameters:
  ///   - report: the whole report.
  ///   - certificates: the signing key's certificate and, in any order, others of its chain.
  public func verify(report bytes: [UInt8], certificates: [X509Certificate]) -> AttestationResult {
    var ledger = AttestationLedger()
    let report = ledger.check(.form) { () throws(MigrationError) in
      try AttestationReport(unchecked: bytes)
    }
    if let report {
      ledger.check(.policyForm, report.checkPolicyForm)
      ledger.check(.reserved, report.checkReserved)
      ledger.check(.signingKey, report.checkSigningKey)
      ledger.check(.signatureForm, report.checkSignatureForm)
    }
    let chain = AttestationChain(trust: trust, supplied: certificates, report: report, &ledger)
    var endorsement: EndorsementExtensions?
    if let leaf = chain.leaf {
      checkDates(chain, &ledger)
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
    let time = if case .at(let seconds) = self.time { seconds } else { leaf.notBefore }
    ledger.check(.dates) { () throws(MigrationError) in
      for certificate in chain.certificates where !certificate.isValid(at: time) {
        let name = certificate.subject.commonName ?? "certificate"
        throw MigrationError(
          .certificateDate,
          time < certificate.notBefore ? "\(name) is not valid yet" : "\(name) has expired",
          section: "certificate",
          expected: "\(CivilDate.text(certificate.notBefore)) to "
            + CivilDate.text(certificate.notAfter),
          got: CivilDate.text(time))
      }
    }
  }

  private func checkSigner(
    _ report: AttestationReport, _ endorsement: EndorsementExtensions?,
    _ ledger: inout AttestationLedger
  ) {
    let providers = requirements.policy.providers
    let isVLEK = report.keyInfo.signer == .vlek
    // Whose VLEK it is only the certificate tells.
    if isVLEK, providers != nil, endorsement == nil { return }
    ledger.check(.signerAllowed) { () throws(MigrationError) in
      guard isVLEK else { return }
      guard let providers else {
        guard requirements.allowsVLEK else {
          throw MigrationError(
            .reportSigningKey, "report is signed for a provider, not for one chip",
            section: "report", at: 0x048, expected: "VCEK", got: "VLEK")
        }
        return
      }
      guard let provider = endorsement?.provider, providers.contains(provider) else {
        throw MigrationError(
          .reportSigningKey, "report is signed for a provider that is not welcome",
          section: "report", at: 0x048, expected: providers.joined(separator: ", "),
          got: endorsement?.provider)
      }
    }
  }

  private func checkRequirements(
    _ report: AttestationReport, _ ledger: inout AttestationLedger
  ) {
    if let vmpl = requirements.vmpl {
      ledger.check(.vmpl) { () throws(MigrationError) in
        guard report.vmpl == vmpl else {
          throw MigrationError(
            .reportVMPL, "report was requested from another privilege level", section: "report",
            at: 0x030, expected: "VMPL \(vmpl)", got: "VMPL \(report.vmpl)")
        }
      }
    } else {
      ledger.notAsked(.vmpl, "any level is taken")
    }
    ledger.check(.debug) { () throws(MigrationError) in
      guard !report.policy.allowsDebug || requirements.allowsDebug else {
        throw MigrationError(
          .reportDebug, "the guest's policy lets the host debug it", section: "report", at: 0x008,
          expected: "bit 19 clear", got: "set")
      }
    }
    ledger.check(.migrationAgent) { () throws(MigrationError) in
      let hasAgent = report.policy.allowsMigrationAgent || !report.fields.hasNoMigrationAgent
      guard !hasAgent || requirements.allowsMigrationAgent else {
        throw MigrationError(
          .reportMigrationAgent, "firmware may migrate the guest", section: "report",
          at: report.policy.allowsMigrationAgent ? 0x008 : 0x160,
          expected: "policy bit 18 clear and REPORT_ID_MA all ones")
      }
    }
    guard let wanted = requirements.reportData else {
      return ledger.notAsked(.reportData, "any value is taken")
    }
    ledger.check(.reportData) { () throws(MigrationError) in
      guard report.reportData == wanted else {
        throw MigrationError(
          .reportData, "report does not carry the expected bytes", section: "report", at: 0x050,
          expected: Hex.encode(wanted), got: Hex.encode(report.reportData))
      }
    }
  }
}
