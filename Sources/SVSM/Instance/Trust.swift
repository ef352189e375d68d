package import Cryptography
package import Errors
package import SEVSNP
internal import Wire

/// What a party trusts and demands when it verifies the other party's attestation report: root
/// certificates, the time, and requirements on the report.
package struct Trust: Sendable {
  /// Trusted roots, each with the intermediates known under it.
  package var anchors: [TrustAnchor]
  /// Seconds since 1970 at which certificates must be valid.
  package var time: Int64
  /// Demands beyond those that every migration makes of its peer.
  package var policy: AttestationPolicy
  /// Revocation lists that must not name an authority of a chain. Without any, revocation is not
  /// checked.
  package var revocationLists: [X509RevocationList]

  package init(
    anchors: [TrustAnchor], time: Int64, policy: AttestationPolicy = AttestationPolicy(),
    revocationLists: [X509RevocationList] = []
  ) {
    self.anchors = anchors
    self.time = time
    self.policy = policy
    self.revocationLists = revocationLists
  }

  /// Verifies a peer's evidence in full: report, chain, binding, VMPL 0, no debugging, the report
  /// data, and what the policy adds.
  ///
  /// - Parameters:
  ///   - report: 1184 bytes.
  ///   - certificates: GHCB certificate table.
  ///   - reportData: the 64 bytes the report must carry.
  ///   - guestPolicy: POLICY that the peer's POLICY must be at least as strict as; nil accepts any.
  ///   - place: where the evidence is, for the error.
  ///   - offset: where the report begins in the stream or file; the certificates follow it.
  /// - Throws: the first failure: `REPORT-…` or `CERT-…`.
  @discardableResult
  package func verify(
    report: [UInt8], certificates: [UInt8], reportData: [UInt8],
    asStrictAs guestPolicy: GuestPolicy? = nil, of place: Place, at offset: UInt64
  ) throws(MigrationError) -> AttestationResult {
    do {
      var verifier = verifier(demanding: reportData)
      verifier.requirements.guestPolicy = guestPolicy
      let result = verifier.verify(
        report: report, supplied: try SuppliedCertificates(CertificateTable(certificates)))
      _ = try result.requireAccepted()
      return result
    } catch {
      throw Self.locate(error, in: place, at: offset)
    }
  }

  /// Verifies as `verify` does, for an audit: reports every failed check, not only the first.
  /// - Parameter refuse: called with each failure.
  /// - Returns: whether the chain was checked against a revocation list of its root.
  package func audit(
    report: [UInt8], certificates: [UInt8], reportData: [UInt8], of place: Place,
    at offset: UInt64, refuse: MigrationError.Refusal
  ) throws(MigrationError) -> Bool {
    var supplied = SuppliedCertificates()
    do throws(MigrationError) {
      supplied = try SuppliedCertificates(CertificateTable(certificates))
    } catch {
      try refuse(Self.locate(error, in: place, at: offset))
      return false
    }
    let result = verifier(demanding: reportData).verify(report: report, supplied: supplied)
    for check in result.checks {
      if case .failed(let error) = check.outcome {
        try refuse(Self.locate(error, in: place, at: offset))
      }
    }
    return switch result.checks.first(where: { $0.name == .revocation })?.outcome {
    case .passed: true
    case .failed(let error): error.code != .certificateMissing
    case .notAsked, .notReached, nil: false
    }
  }

  private func verifier(demanding reportData: [UInt8]) -> AttestationVerifier {
    AttestationVerifier(
      trust: anchors, requirements: .peer(reportData: reportData, policy: policy),
      time: .at(time), revocationLists: revocationLists)
  }

  /// Converts an error's offset to an offset in the stream or file. Offsets in a report count from
  /// its first byte, and offsets in certificates from the first byte of their table. A revocation
  /// list is in neither.
  private static func locate(
    _ error: MigrationError, in place: Place, at offset: UInt64
  ) -> MigrationError {
    guard error.place != .revocationList else { return error }
    var located = error
    let start = error.place == .report ? offset : offset + UInt64(AttestationReport.Layout.size)
    located.offset = start + (error.offset ?? 0)
    return located.within(place)
  }
}
