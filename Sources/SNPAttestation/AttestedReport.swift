public import Errors
internal import SEVSNP
internal import Wire

/// An attestation report of an SNP guest, read from any of the forms in which reports travel
/// (`Formats/amd-structures.md`, section 1).
public struct SNPReport: Sendable {
  let report: AttestationReport
  let supplied: SuppliedCertificates

  /// Reads the bytes of a report, of a MSG_REPORT_RSP, of an extended report with its certificate
  /// table, of an HCL report of a paravisor, or of the JSON and text forms in which tools print
  /// one.
  /// - Throws: `REPORT-LENGTH`, `REPORT-VERSION` and the other codes for a file that does not hold
  ///   a report.
  public init(_ file: [UInt8]) throws(MigrationError) {
    let container = try ReportContainer(file)
    report = try AttestationReport(unchecked: container.report)
    supplied = container.certificates
  }

  /// The 1184 bytes of the report itself, as the firmware made it.
  public var bytes: [UInt8] { report.bytes }
  /// VERSION: version of the report's layout.
  public var version: UInt32 { report.version }
  /// VMPL: privilege level of the software that requested the report; 0 for an SVSM.
  public var vmpl: UInt32 { report.vmpl }
  /// POLICY: the guest policy, with the bits of AMD's table.
  public var policy: UInt64 { report.policy.rawValue }
  /// MEASUREMENT: the launch digest, 48 bytes.
  public var measurement: [UInt8] { report.measurement }
  /// REPORT_DATA: 64 bytes that the requester chose.
  public var reportData: [UInt8] { report.reportData }
  /// HOST_DATA: 32 bytes that the host provided at launch.
  public var hostData: [UInt8] { report.hostData }
  /// CHIP_ID, 64 bytes; all zero when it is masked.
  public var chipID: [UInt8] { report.chipID }
  /// GUEST_SVN: the security version of the guest's image.
  public var guestSVN: UInt32 { report.guestSVN }
}

/// The demands that a report must meet in addition to being genuine. By default they are those that
/// a migration makes of a peer: an SVSM at VMPL 0 on a named chip, without debugging and without a
/// migration agent.
public struct SNPDemands: Sendable {
  var requirements = AttestationVerifier.Requirements()

  /// Makes the default demands, those of a migration.
  public init() {}

  /// No demands: every genuine report of a guest is accepted, whatever its VMPL, POLICY and kind of
  /// signing key.
  public static var anyGuest: SNPDemands {
    var demands = SNPDemands()
    demands.requirements = .anyGuest
    return demands
  }

  /// The VMPL from which the report must have been requested; nil allows any.
  public var vmpl: UInt32? {
    get { requirements.vmpl }
    set { requirements.vmpl = newValue }
  }

  /// The required REPORT_DATA, 64 bytes; nil allows any.
  public var reportData: [UInt8]? {
    get { requirements.reportData }
    set { requirements.reportData = newValue }
  }

  /// Adds the demands of a policy file (`Formats/policy.md`): measurements, minimum TCB versions,
  /// chips.
  /// - Parameter policy: the file's bytes, JSON.
  /// - Throws: `POLICY-SYNTAX`.
  public mutating func add(policy: [UInt8]) throws(MigrationError) {
    requirements.policy = try AttestationPolicy(parsing: policy)
  }
}
