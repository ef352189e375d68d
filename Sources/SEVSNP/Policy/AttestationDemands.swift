internal import Errors
internal import Wire

/// The checks that the caller demands in addition to those of a policy.
///
/// A check that is not demanded is reported as not demanded, together with what the report
/// contains. No check passes because it was not made.
extension AttestationVerifier {
  /// - Parameter endorsement: the extensions of the report's certificate; nil when they were not
  ///   read.
  func checkSigner(
    _ report: AttestationReport, _ endorsement: EndorsementExtensions?,
    _ ledger: inout AttestationLedger
  ) {
    guard let signer = report.keyInfo.signer else { return }
    let providers = requirements.policy.providers
    if providers == nil, requirements.allowsVLEK {
      return ledger.notDemanded(.signerAllowed, has: "a \(signer)'s signature")
    }
    // Only the certificate tells which provider a VLEK belongs to.
    if signer == .vlek, providers != nil, endorsement == nil { return }
    ledger.check(.signerAllowed) { () throws(MigrationError) in
      guard signer == .vlek else { return }
      guard let providers else {
        throw MigrationError(
          .reportSigningKey, "report is signed for a provider, not for one chip",
          in: .report, at: AttestationReport.offset(of: \.keyInfo), expected: "VCEK", got: "VLEK")
      }
      guard let provider = endorsement?.provider, providers.contains(provider) else {
        throw MigrationError(
          .reportSigningKey, "report is signed for a provider that is not accepted",
          in: .report, at: AttestationReport.offset(of: \.keyInfo),
          expected: providers.joined(separator: ", "),
          got: endorsement?.provider)
      }
    }
  }

  func checkRequirements(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    checkLevel(report, &ledger)
    checkDebug(report, &ledger)
    checkMigrationAgent(report, &ledger)
    guard let wanted = requirements.reportData else {
      return ledger.notDemanded(.reportData, has: Self.short(report.reportData))
    }
    ledger.check(.reportData) { () throws(MigrationError) in
      guard report.reportData == wanted else {
        throw MigrationError(
          .reportData, "report does not carry the expected bytes", in: .report,
          at: AttestationReport.offset(of: \.reportData),
          expected: Hex.encode(wanted), got: Hex.encode(report.reportData))
      }
    }
  }

  private func checkLevel(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    guard let vmpl = requirements.vmpl else {
      return ledger.notDemanded(.vmpl, has: "VMPL \(report.vmpl)")
    }
    ledger.check(.vmpl) { () throws(MigrationError) in
      guard report.vmpl == vmpl else {
        throw MigrationError(
          .reportVMPL, "report was requested from another privilege level", in: .report,
          at: AttestationReport.offset(of: \.vmpl), expected: "VMPL \(vmpl)",
          got: "VMPL \(report.vmpl)")
      }
    }
  }

  private func checkDebug(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    guard !requirements.allowsDebug else {
      return ledger.notDemanded(
        .debug, has: report.policy.allowsDebug ? "debugging is allowed" : "no debugging")
    }
    ledger.check(.debug) { () throws(MigrationError) in
      guard !report.policy.allowsDebug else {
        throw MigrationError(
          .reportDebug, "the guest's policy lets the host debug it", in: .report,
          at: AttestationReport.offset(of: \.policy),
          expected: "bit 19 clear", got: "set")
      }
    }
  }

  private func checkMigrationAgent(
    _ report: AttestationReport, _ ledger: inout AttestationLedger
  ) {
    guard !requirements.allowsMigrationAgent else {
      return ledger.notDemanded(
        .migrationAgent,
        has: !report.fields.hasNoMigrationAgent
          ? "a migration agent is associated"
          : report.policy.allowsMigrationAgent
            ? "a migration agent is allowed" : "no migration agent")
    }
    ledger.check(.migrationAgent) { () throws(MigrationError) in
      guard !report.fields.mayHaveMigrationAgent else {
        throw MigrationError(
          .reportMigrationAgent, "firmware may migrate the guest", in: .report,
          at: report.policy.allowsMigrationAgent
            ? AttestationReport.offset(of: \.policy) : AttestationReport.offset(of: \.reportIDMa),
          expected: "policy bit 18 clear and REPORT_ID_MA all ones")
      }
    }
  }

  /// The first bytes of a field in hex, for one line of output.
  static func short(_ bytes: [UInt8]) -> String {
    if bytes.allSatisfy({ $0 == 0 }) { return "zero" }
    return Hex.encode(bytes.prefix(8)) + (bytes.count > 8 ? "..." : "")
  }
}

extension AttestationLedger {
  /// Notes that the check `name` is not demanded.
  /// - Parameter found: what the report contains there.
  mutating func notDemanded(_ name: AttestationCheck.Name, has found: String) {
    notAsked(name, "not demanded (this report: \(found))")
  }
}
