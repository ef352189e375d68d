package import Errors
package import QEMUStream
package import SVSM
package import Threads

/// Verifies a stream in one pass, without keys or with those of its destination.
///
/// The pass names all it can: what is wrong with a record that is well formed otherwise does not end it,
/// and behind records that cannot be followed it goes on with the seal. What it refuses first is what a
/// load refuses the stream with.
package struct StreamVerifier {
  private let trust: Trust
  private let crew: WorkCrew

  /// - Parameters:
  ///   - trust: roots and time for attestation.
  ///   - crew: does the work.
  package init(trust: Trust, crew: WorkCrew) {
    self.trust = trust
    self.crew = crew
  }

  /// What anyone can check: structure, order, counts, transcript, seal, attestation.
  /// - Parameters:
  ///   - offer: the destination's, when it is at hand.
  ///   - stopsAtFirst: ends the pass at the first refusal, for whoever asks only whether there is one.
  ///     What lies behind is then not looked at.
  /// - Throws: only what is no refusal: `IO-READ`, `INTERNAL`.
  package func verify(
    _ input: StreamInput, offer: MigrationData? = nil, stopsAtFirst: Bool = false
  ) throws(MigrationError) -> VerificationReport {
    try audit(input, offer: offer, instance: nil, stopsAtFirst)
  }

  /// Everything a destination checks, with its keys, restoring nothing.
  /// - Parameter stopsAtFirst: as above.
  /// - Throws: only what is no refusal: `IO-READ`, `INTERNAL`.
  package func verify(
    _ input: StreamInput, for instance: SVSMInstance, stopsAtFirst: Bool = false
  ) throws(MigrationError) -> VerificationReport {
    try audit(input, offer: instance.offer, instance: instance, stopsAtFirst)
  }

  private func audit(
    _ input: StreamInput, offer: MigrationData?, instance: SVSMInstance?, _ stopsAtFirst: Bool
  ) throws(MigrationError) -> VerificationReport {
    let findings = FindingLedger(.snp, stopsAtFirst: stopsAtFirst)
    var audit = StreamAudit(
      input, offer: offer, instance: instance, trust: trust, crew: crew, noting: findings)
    do throws(MigrationError) {
      try audit.run()
    } catch {
      guard error.code.isRefusal else { throw error }
    }
    var report = audit.report()
    report.revocation = audit.revocation
    return report
  }
}
