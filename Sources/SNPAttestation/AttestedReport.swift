public import Errors
internal import SEVSNP
internal import Wire

/// An attestation report of an SNP guest, in whatever it came in (`Formats/amd-structures.md`, section 1).
public struct SNPReport: Sendable {
  let report: AttestationReport
  let supplied: SuppliedCertificates

  /// Reads the bytes of a report, of a MSG_REPORT_RSP, of an extended report with its certificate table, of an
  /// HCL report of a paravisor, or of the JSON and text forms in which tools print one.
  /// - Throws: `REPORT-LENGTH`, `REPORT-VERSION` and the other codes of a file that holds no report.
  public init(_ file: [UInt8]) throws(MigrationError) {
    let container = try ReportContainer(file)
    report = try AttestationReport(unchecked: container.report)
    supplied = container.certificates
  }

  /// The report alone, as the firmware signed it.
  public var bytes: [UInt8] { report.bytes }
  /// Version of the report's layout.
  public var version: UInt32 { report.version }
  /// Privilege level of whoever asked for the report: 0 is an SVSM's.
  public var vmpl: UInt32 { report.vmpl }
  /// POLICY of the guest, bit by bit as AMD's table has it.
  public var policy: UInt64 { report.policy.rawValue }
  /// MEASUREMENT: what the guest was launched from, 48 bytes.
  public var measurement: [UInt8] { report.measurement }
  /// REPORT_DATA: what the guest bound, 64 bytes.
  public var reportData: [UInt8] { report.reportData }
  /// HOST_DATA: what the host gave at launch, 32 bytes.
  public var hostData: [UInt8] { report.hostData }
  /// CHIP_ID, 64 bytes; all zero when it is masked.
  public var chipID: [UInt8] { report.chipID }
  /// GUEST_SVN: the security version of the guest's image.
  public var guestSVN: UInt32 { report.guestSVN }
}

/// What a verifier demands of a report beyond that it is genuine. As made, it demands what a migration
/// demands of a peer: an SVSM at VMPL 0 on one chip, without debugging and without a migration agent.
public struct SNPDemands: Sendable {
  var requirements = AttestationVerifier.Requirements()

  public init() {}

  /// Any genuine report, whatever guest it speaks of.
  public static var anyGuest: SNPDemands {
    var demands = SNPDemands()
    demands.requirements = .anyGuest
    return demands
  }

  /// The privilege level that must have asked for the report; nil takes any.
  public var vmpl: UInt32? {
    get { requirements.vmpl }
    set { requirements.vmpl = newValue }
  }

  /// The 64 bytes that the guest must have bound; nil takes any.
  public var reportData: [UInt8]? {
    get { requirements.reportData }
    set { requirements.reportData = newValue }
  }

  /// Adds the demands of a policy file (`Formats/policy.md`): measurements, minimum TCB versions, chips.
  /// - Parameter policy: the file's bytes, JSON.
  /// - Throws: `POLICY-SYNTAX`.
  public mutating func add(policy: [UInt8]) throws(MigrationError) {
    requirements.policy = try AttestationPolicy(parsing: policy)
  }
}
