internal import Cryptography
package import Errors

/// A model of the security processor that signs attestation reports.
///
/// Signing is deterministic (RFC 6979): the same fields give the same report.
package struct ModelSecurityProcessor: Sendable {
  package let platform: Platform

  package init(_ platform: Platform) { self.platform = platform }

  /// Fields as this platform reports them: chip, CPU and every TCB are the platform's own; fields
  /// that the guest and its request determine have default values.
  /// - Parameter version: version of the report, 3 or 5.
  package func fields(version: UInt32 = 3) -> AttestationReport.Fields {
    var fields = AttestationReport.Fields(
      version: version, cpu: platform.cpu, tcb: platform.endorsement.tcb)
    fields.chipID = platform.chipID
    fields.currentFirmware = FirmwareVersion(major: 1, minor: 55, build: 29)
    fields.committedFirmware = fields.currentFirmware
    return fields
  }

  /// The report of `fields`, signed without changing them.
  /// - Throws: `REPORT-VERSION`; `INTERNAL` for a field of the wrong length;
  ///   `INTERNAL-CRYPTOGRAPHY`.
  package func sign(_ fields: AttestationReport.Fields) throws(MigrationError) -> AttestationReport
  {
    let bytes = try fields.signedBytes()
    let signature = try platform.endorsementKey.sign(digest: SHA384.hash(bytes))
    return try AttestationReport(
      signedBytes: bytes, signatureR: signature.r, signatureS: signature.s)
  }
}
