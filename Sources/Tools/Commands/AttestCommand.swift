package import ArgumentParser
internal import Errors
internal import Import
internal import JSON
internal import SEVSNP
internal import SVSM
internal import Wire

/// `svsm-mig-attest`: shows or verifies an SNP attestation report.
package struct AttestCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-attest",
    abstract: "Show or verify an SEV-SNP attestation report.",
    discussion: """
      A report is a file of 1184 bytes, the firmware's response with it (MSG_REPORT_RSP), either \
      with a certificate table after it or without, the report of a vTPM on Azure, or an offer made \
      by svsm-mig-prepare. Reports may be written in hex, Base64 or JSON.
      """,
    version: Toolkit.version, subcommands: [AttestShowCommand.self, AttestVerifyCommand.self])

  package init() {}
}

/// `svsm-mig-attest show`: shows every field of a report, without verifying it.
package struct AttestShowCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show every field of a report. Nothing is verified.")

  @Argument(help: "Report to read; - is standard input.", completion: .file())
  package var report: String

  @Flag(help: "Print JSON instead of text.")
  package var json = false

  @OptionGroup package var common: CommonOptions

  package init() {}

  package var wantsJSON: Bool { json }

  package func execute(_ console: Console) throws {
    let file = try ReportFile(reading: report)
    let report = try AttestationReport(unchecked: file.report)
    if json {
      try console.write(AttestationJSON.show(file, report))
    } else {
      try console.write(AttestationText.show(file, report))
    }
  }
}

/// `svsm-mig-attest verify`: checks that a report is genuine and meets the demands.
package struct AttestVerifyCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Verify a report against certificates and trusted roots.",
    discussion: """
      Without --for-migration any guest on a genuine processor is accepted, with warnings for what \
      weakens it. With it, the report must be what a migration demands of its peer: requested at \
      VMPL 0, signed for one chip that is named, no debugging, no migration agent; the options \
      --allow-… lift single demands. --policy adds demands in both cases.
      """)

  @Argument(help: "Report to read; - is standard input.", completion: .file())
  package var report: String

  @Option(
    name: .customLong("cert"),
    help: ArgumentHelp(
      "Certificates of the signing key and its issuers: DER, PEM, a GHCB certificate table or "
        + "Azure's THIM JSON, or hex or Base64 of one (may be repeated).",
      discussion: "AMD's own issuers are built in. Certificates in the report's file are used too.",
      valueName: "file"), completion: .file())
  package var certificateFiles: [String] = []

  @OptionGroup package var trust: TrustOptions
  @OptionGroup package var revocation: RevocationOptions
  @OptionGroup package var policy: PolicyOption

  @Option(
    help: ArgumentHelp(
      "Demand this REPORT_DATA: 64 bytes in hex or Base64, or @FILE.", valueName: "bytes"))
  var reportData: BytesArgument?

  @Option(
    help: ArgumentHelp(
      "Demand this MEASUREMENT: 48 bytes in hex or Base64, or @FILE.", valueName: "bytes"))
  var measurement: BytesArgument?

  @Option(
    help: ArgumentHelp(
      "When certificates must be valid: YYYY-MM-DD, seconds since 1970, or \"issue\" for the day "
        + "the signing key's certificate was issued. Now by default.", valueName: "date"))
  package var at: String?

  @Option(help: ArgumentHelp("Demand this VMPL, 0 to 3, or \"any\".", valueName: "level"))
  var vmpl: String?

  @Flag(help: "Apply the demands of a migration on its peer.")
  package var forMigration = false

  @Flag(help: "With --for-migration: accept a guest that the host may debug.")
  package var allowDebug = false

  @Flag(name: .customLong("allow-vlek"), help: "With --for-migration: accept a VLEK's signature.")
  package var allowVLEK = false

  @Flag(help: "With --for-migration: accept a guest that firmware may migrate.")
  package var allowMigrationAgent = false

  @Flag(help: "With --for-migration: accept a report that does not name its chip.")
  package var allowMaskedChip = false

  @Flag(help: "Print JSON instead of text.")
  package var json = false

  @OptionGroup package var common: CommonOptions

  package init() {}

  package var wantsJSON: Bool { json }

  package func validate() throws {
    try policy.validate(
      beside: [report] + certificateFiles + trust.trustedFiles + revocation.listFiles)
    guard reportData?.mayBe(64) ?? true else { throw Self.wrongCount("--report-data", 64) }
    guard measurement?.mayBe(48) ?? true else { throw Self.wrongCount("--measurement", 48) }
    guard at.map({ AttestationTime($0) != nil }) ?? true else {
      throw ValidationError("--at takes YYYY-MM-DD, seconds since 1970, or \"issue\".")
    }
    guard vmpl.map({ ["0", "1", "2", "3", "any"].contains($0) }) ?? true else {
      throw ValidationError("--vmpl takes 0 to 3, or \"any\".")
    }
  }

  private static func wrongCount(_ option: String, _ count: Int) -> ValidationError {
    ValidationError("\(option) takes \(count) bytes: \(2 * count) hex digits, Base64 or @FILE.")
  }

  package func execute(_ console: Console) throws {
    let file = try ReportFile(reading: report)
    var supplied = SuppliedCertificates()
    for path in certificateFiles { supplied.append(try SuppliedCertificates(inFile: path)) }
    supplied.append(try file.certificates())
    let verifier = AttestationVerifier(
      trust: try trust.anchors(), requirements: try requirements(for: file),
      time: at.flatMap { AttestationTime($0) }?.time ?? .at(WallClock.now),
      revocationLists: try revocation.lists())
    let result = verifier.verify(report: file.report, supplied: supplied)
    if json {
      try console.write(
        AttestationJSON.verdict(of: result, file, supplied) { console.refusal($0) })
    } else {
      try console.write(AttestationText.verdict(of: result, file, supplied, console.style))
    }
    try result.requireAccepted()
  }

  private func requirements(for file: ReportFile) throws -> AttestationVerifier.Requirements {
    var requirements =
      forMigration ? AttestationVerifier.Requirements() : AttestationVerifier.Requirements.anyGuest
    if allowDebug { requirements.allowsDebug = true }
    if allowVLEK { requirements.allowsVLEK = true }
    if allowMigrationAgent { requirements.allowsMigrationAgent = true }
    if allowMaskedChip { requirements.allowsMaskedChip = true }
    if let vmpl { requirements.vmpl = UInt32(vmpl) }
    requirements.reportData = try demandedReportData(for: file)
    requirements.policy = try policy.load()
    if let argument = measurement {
      guard let measurement = try argument.read(48) else {
        throw Self.wrongCount("--measurement", 48)
      }
      guard requirements.policy.measurements?.contains(measurement) ?? true else {
        throw ValidationError("The policy does not accept this --measurement.")
      }
      requirements.policy.measurements = [measurement]
    }
    return requirements
  }

  /// The REPORT_DATA to require. An offer is only valid if the report binds its key, and a vTPM's
  /// claims only if the report binds them, so this is required whatever else is demanded.
  private func demandedReportData(for file: ReportFile) throws -> [UInt8]? {
    let bound = try file.expectedReportData()
    guard let reportData else { return bound }
    guard let given = try reportData.read(64) else { throw Self.wrongCount("--report-data", 64) }
    guard bound ?? given == given else {
      throw MigrationError(
        .reportData, "--report-data differs from the data that the report has to bind", in: .report,
        at: 0x050, expected: Hex.encode(given), got: bound.map { Hex.encode($0) })
    }
    return given
  }
}
