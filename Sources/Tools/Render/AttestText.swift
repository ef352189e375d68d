internal import Cryptography
internal import Errors
internal import Import
internal import SEVSNP
internal import SVSM
internal import Wire

/// A report and its verification as text.
enum AttestationText {
  /// All fields of a report.
  static func show(_ file: ReportFile, _ report: AttestationReport) throws(MigrationError)
    -> String
  {
    var out = RenderedText()
    if let offer = file.offer {
      out.line("Offer")
      out.field("protocol", "version \(offer.suite.version), \(offer.suite.names)", indent: 2)
      out.field(
        "public key", "P-384, SHA-256 \(Hex.encode(try SHA256.hash(offer.publicKey)))", indent: 2)
      if offer.flags.contains(.seeded) {
        out.field("keys", "made from a seed: not secret", indent: 2)
      }
      let isBound = try offer.expectedReportData() == report.reportData
      out.field(
        "report data", isBound ? "binds the public key" : "does not bind the public key", indent: 2)
      out.line()
    }
    source(of: file, file.readableCertificates, into: &out)
    out.line("Attestation report")
    for field in ReportField.all(of: report) {
      for (index, line) in field.lines.enumerated() {
        let name = index == 0 ? "\(Hex.number(UInt64(field.offset), digits: 4)) \(field.name)" : ""
        out.field(name, line, width: 30, indent: 2)
      }
    }
    for address in report.vcekAddresses { out.field("signed by the VCEK", address, indent: 2) }
    for remark in Self.remarks(on: report) {
      out.line()
      out.line(remark)
    }
    return out.text
  }

  /// Remarks that the reader needs before relying on any field of the report.
  private static func remarks(on report: AttestationReport) -> [String] {
    var remarks: [String] = []
    do throws(MigrationError) {
      try report.checkVersion()
      do throws(MigrationError) {
        try report.checkForm()
      } catch {
        // Firmware writes unsigned reports when it is configured to.
        let isUnsigned = error.code == .reportSigningKey && report.keyInfo.isUnsigned
        remarks.append(
          isUnsigned
            ? "warning: \(error.what.spelled). Its content is not authenticated"
            : "No firmware writes such a report: \(error.spelled)")
      }
    } catch {
      remarks.append(
        "warning: version \(report.version) is not known. These are the fields it shares with the "
          + "versions that are; it may have others, and is not verified")
    }
    do throws(MigrationError) {
      try report.checkRequester()
    } catch {
      remarks.append("warning: \(error.what.spelled)")
    }
    return remarks
  }

  /// The format of the file that holds the report, unless it is a bare report, and the parts of the
  /// file that were not used.
  private static func source(
    of file: ReportFile, _ supplied: SuppliedCertificates, into out: inout RenderedText
  ) {
    guard let container = file.container else { return }
    let isPlain = container.form == .report && container.coding == .binary
    guard !isPlain || supplied.note != nil || container.certificates != SuppliedCertificates()
    else { return }
    out.line("Source")
    let form =
      switch container.form {
      case .report: "report"
      case .response: "the firmware's response, MSG_REPORT_RSP"
      case .hcl: "the report of a vTPM on Azure"
      }
    out.field("form", "\(form), \(container.coding.description)", width: 16, indent: 2)
    if let hcl = container.hcl {
      let verb = file.bindsClaims(of: hcl) ? "is" : "is NOT"
      out.field(
        "claims", "\(hcl.claims.count) bytes; REPORT_DATA \(verb) their \(hcl.hashName)",
        width: 16, indent: 2)
    }
    out.field(
      "certificates", "\(container.certificates.certificates.count)", width: 16, indent: 2)
    if let note = supplied.note { out.field("note", note, width: 16, indent: 2) }
    out.line()
  }

  /// The check list and the verdict.
  /// - Parameter supplied: the certificates that the report was verified with.
  static func verdict(
    of result: AttestationResult, _ file: ReportFile, _ supplied: SuppliedCertificates,
    _ style: Style
  ) -> String {
    var out = RenderedText()
    source(of: file, supplied, into: &out)
    if !result.chain.isEmpty {
      out.line("Certificates")
      for certificate in result.chain {
        out.line("  \(certificate.subject.commonName ?? "\(certificate.subject)")")
        out.field("issuer", certificate.issuer.commonName ?? "?", width: 16, indent: 4)
        out.field(
          "valid",
          "\(CivilDate.text(certificate.notBefore)) to "
            + CivilDate.text(certificate.notAfter), width: 16, indent: 4)
      }
      if let endorsement = result.endorsement {
        out.line("  Endorsement")
        out.field("product", endorsement.productName, width: 16, indent: 4)
        out.field(
          "TCB", "\(endorsement.tcb.components(for: endorsement.product))", width: 16, indent: 4)
        if let chip = endorsement.chipIdentifier {
          out.field("chip", Spelled.short(chip), width: 16, indent: 4)
        }
        if let provider = endorsement.provider {
          out.field("provider", provider, width: 16, indent: 4)
        }
      }
      out.line()
    }
    out.line("Checks")
    for check in result.checks {
      let name = check.name.rawValue.padded(to: 26)
      switch check.outcome {
      case .passed where !result.isVouched(check):
        out.line("  not vouched  \(name)\(check.name.meaning)", as: style.doubtful)
      case .passed: out.line("  passed       \(name)\(check.name.meaning)", as: style.good)
      case .failed(let error): out.line("  FAILED       \(name)\(error.spelled)", as: style.bad)
      case .notAsked(let why): out.line("  not checked  \(name)\(why)", as: style.dim)
      case .notReached:
        out.line("  not checked  \(name)skipped after an earlier failure", as: style.dim)
      }
    }
    out.line()
    if result.checks.contains(where: { $0.outcome == .passed && !result.isVouched($0) }) {
      out.line(
        "not vouched: claimed by the report, not covered by a valid signature under a trusted root.",
        as: style.doubtful)
    }
    for warning in Self.warnings(of: result) {
      out.line("warning: \(warning)", as: style.doubtful)
    }
    for address in Self.wanted(by: result) {
      out.line("the certificate of the report's VCEK: \(address)")
    }
    out.line(
      Self.sentence(of: result),
      as: !result.isAccepted ? style.bad : result.isGenuine ? style.good : style.doubtful)
    return out.text
  }

  /// Where to get the certificate that belongs to the report, when none or another one was
  /// supplied.
  private static func wanted(by result: AttestationResult) -> [String] {
    let about: [AttestationCheck.Name] = [.certificate, .chip, .tcb]
    guard result.checks.contains(where: { $0.isFailure && about.contains($0.name) }) else {
      return []
    }
    return result.report?.vcekAddresses ?? []
  }

  /// The verdict in one line.
  static func sentence(of result: AttestationResult) -> String {
    guard result.isAccepted else {
      return "REFUSED: \(result.firstFailure?.what.spelled ?? "a check was not made")"
    }
    let root = result.anchor?.description ?? "?"
    return result.isGenuine
      ? "GENUINE: signed on a real processor, under the root of \(root)"
      : "ACCEPTED UNDER \(root), which is NOT AMD'S root: "
        + "it proves nothing about hardware"
  }

  /// Facts about a genuine report that matter to a relying party.
  static func warnings(of result: AttestationResult) -> [String] {
    guard result.isAccepted, let report = result.report else { return [] }
    var warnings: [String] = []
    if report.policy.allowsDebug {
      warnings.append("the guest's policy lets the host debug it: nothing in it is secret")
    }
    if report.fields.mayHaveMigrationAgent {
      warnings.append("firmware may migrate the guest with the help of a migration agent")
    }
    if report.vmpl != 0 {
      warnings.append("requested at VMPL \(report.vmpl): speaks for the guest, not for an SVSM")
    }
    if report.keyInfo.signer == .vlek {
      warnings.append("signed with a VLEK: says whose machine it is, not which")
    } else if report.fields.masksChipID {
      warnings.append("the report does not name its chip")
    }
    if report.fields.canBeRolledBack {
      warnings.append("the platform's firmware can still be rolled back: not all is committed")
    }
    return warnings
  }
}
