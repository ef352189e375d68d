public import Bytes
internal import Cryptography
public import SEVSNP

/// What a party believes when the other shows its attestation report: roots and the time.
public struct Trust: Sendable {
  public var anchors: [TrustAnchor]
  /// Seconds since 1970 at which certificates must be valid.
  public var time: Int64

  public init(anchors: [TrustAnchor], time: Int64) {
    self.anchors = anchors
    self.time = time
  }

  /// Verifies a peer's evidence in full: report, chain, binding, VMPL 0, no debugging, and the
  /// report data.
  ///
  /// - Parameters:
  ///   - report: 1184 bytes.
  ///   - certificates: GHCB certificate table.
  ///   - reportData: the 64 bytes the report must carry.
  ///   - section: where the evidence stands, for the error.
  ///   - offset: where the report begins in the stream or file; the certificates follow it.
  /// - Throws: the first failure: `REPORT-…` or `CERT-…`.
  @discardableResult
  public func verify(
    report: [UInt8], certificates: [UInt8], reportData: [UInt8], of section: String,
    at offset: UInt64
  ) throws(MigrationError) -> AttestationResult {
    do {
      let verifier = AttestationVerifier(
        trust: anchors, requirements: .peer(reportData: reportData), time: .at(time))
      let result = verifier.verify(
        report: report, certificates: try CertificateTable(certificates).certificates())
      _ = try result.requireAccepted()
      return result
    } catch {
      // A report's offsets count from its first byte, those of certificates from their table's.
      var error = error
      let start = error.section == "report" ? offset : offset + UInt64(AttestationReport.size)
      error.offset = start + (error.offset ?? 0)
      throw error.inSection(section)
    }
  }
}
