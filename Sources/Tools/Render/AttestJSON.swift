internal import Cryptography
internal import Errors
internal import Import
internal import JSON
internal import SEVSNP
internal import SVSM

/// A report and its verification as JSON.
///
/// Bit fields and bytes are hex text, small numbers are integers, and the order of the keys is
/// fixed.
enum AttestationJSON {
  static let reportSchema = "svsm-migration/report/1"
  static let verdictSchema = "svsm-migration/attestation/1"

  static func show(_ file: ReportFile, _ report: AttestationReport) throws(MigrationError) -> JSON {
    var members: [JSON.Member] = [.init("schema", .string(reportSchema))]
    members += source(of: file, file.readableCertificates)
    if let offer = file.offer {
      members.append(
        .init(
          "offer",
          [
            "version": JSON(offer.suite.version), "suite": .string(offer.suite.names),
            "seeded": .bool(offer.flags.contains(.seeded)),
            "publicKey": .hex(bytes: offer.publicKey),
            "bound": .bool(try offer.expectedReportData() == report.reportData),
          ]))
    }
    members.append(.init("product", report.product.map { .string($0.rawValue) } ?? .null))
    members.append(.init("vcekAddresses", .text(report.vcekAddresses)))
    members.append(.init("requester", .string(report.fields.requester.rawValue)))
    members.append(.init("report", fields(of: report)))
    do throws(MigrationError) {
      try report.checkForm()
      members.append(.init("formError", .null))
    } catch {
      members.append(.init("formError", .object(error.jsonMembers)))
    }
    return .object(members)
  }

  /// The format of the file that holds the report, and the other contents of that file.
  private static func source(
    of file: ReportFile, _ supplied: SuppliedCertificates
  ) -> [JSON.Member] {
    var members: [JSON.Member] = [
      .init("source", .string(file.form)), .init("coding", .string(file.coding.rawValue)),
      .init("supplied", JSON(supplied.certificates.count)),
      .init("unknownEntries", JSON(supplied.unknownEntries)),
    ]
    if let hcl = file.container?.hcl {
      members.append(
        .init(
          "claims",
          [
            "bytes": JSON(hcl.claims.count), "hash": .string(hcl.hashName),
            "bound": .bool(file.bindsClaims(of: hcl)),
          ]))
    }
    return members
  }

  private static func fields(of report: AttestationReport) -> JSON {
    .object(ReportField.all(of: report).map { .init($0.name, $0.json) })
  }

  /// - Parameters:
  ///   - supplied: the certificates that the report was verified with.
  ///   - refusal: converts a refusal to JSON.
  static func verdict(
    of result: AttestationResult, _ file: ReportFile, _ supplied: SuppliedCertificates,
    refusal: (MigrationError) -> JSON
  ) -> JSON {
    let verdict = result.isGenuine ? "genuine" : result.isAccepted ? "accepted" : "refused"
    var members: [JSON.Member] = [.init("schema", .string(verdictSchema))]
    members += source(of: file, supplied)
    members += [
      .init("verdict", .string(verdict)),
      .init("genuine", .bool(result.isGenuine)),
      .init("root", result.anchor.map { .string($0.description) } ?? .null),
      .init("product", result.product.map { .string($0.rawValue) } ?? .null),
      .init("warnings", .text(AttestationText.warnings(of: result))),
      .init("checks", .array(result.checks.map { check($0, of: result) })),
      .init("certificates", .array(result.chain.map(certificate))),
      .init("report", result.report.map(fields) ?? .null),
    ]
    if let failure = result.firstFailure { members.append(.init("refusal", refusal(failure))) }
    return .object(members)
  }

  private static func check(_ check: AttestationCheck, of result: AttestationResult) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(check.name.rawValue)), .init("meaning", .string(check.name.question)),
    ]
    switch check.outcome {
    case .passed:
      members += [.init("outcome", "passed"), .init("vouched", .bool(result.isVouched(check)))]
    case .failed(let error):
      members.append(.init("outcome", "failed"))
      members += error.jsonMembers
    case .notAsked(let why):
      members += [.init("outcome", "not-checked"), .init("reason", .string(why))]
    case .notReached:
      members += [
        .init("outcome", "not-checked"),
        .init("reason", "skipped after an earlier failure"),
      ]
    }
    return .object(members)
  }

  private static func certificate(_ certificate: X509Certificate) -> JSON {
    [
      "subject": .string("\(certificate.subject)"), "issuer": .string("\(certificate.issuer)"),
      "notBefore": .string(CivilDate.text(certificate.notBefore)),
      "notAfter": .string(CivilDate.text(certificate.notAfter)),
      "keySHA384": .hex(bytes: certificate.keyFingerprint),
    ]
  }
}
