package import Errors
package import QEMUStream
package import SVSM
package import Threads

/// Verifies a stream in one pass, without keys or with those of its destination.
///
/// The pass reports as much as it can: a fault in a record that is otherwise well formed does not
/// end it, and after records that cannot be followed it continues with the seal. Its first refusal
/// is the one with which a load refuses the stream.
package struct StreamVerifier {
  private let trust: Trust
  private let crew: WorkCrew
  /// Called from time to time with the number of bytes that have been read.
  package var progress: (UInt64) -> Void = { _ in }

  /// - Parameters:
  ///   - trust: root certificates and time for attestation.
  ///   - crew: the worker threads.
  package init(trust: Trust, crew: WorkCrew) {
    self.trust = trust
    self.crew = crew
  }

  /// Checks what anyone can check: structure, order, counts, transcript, seal, attestation.
  /// - Parameters:
  ///   - offer: the destination's offer, if it is available.
  ///   - stopsAtFirst: whether the pass ends at the first refusal, for a caller that asks only
  ///     whether there is one. What follows in the stream is then not checked.
  ///   - trace: observes the calls that a destination would make.
  /// - Throws: only errors that are not refusals: `IO-READ`, `INTERNAL`.
  package func verify(
    _ input: StreamInput, offer: MigrationData? = nil, stopsAtFirst: Bool = false,
    trace: SessionTrace? = nil
  ) throws(MigrationError) -> VerificationReport {
    try audit(input, offer: offer, instance: nil, stopsAtFirst, trace)
  }

  /// Makes all checks of a destination, with its keys, and restores nothing.
  /// - Parameters:
  ///   - stopsAtFirst: whether the pass ends at the first refusal.
  ///   - trace: observes the calls that a destination would make.
  /// - Throws: only errors that are not refusals: `IO-READ`, `INTERNAL`.
  package func verify(
    _ input: StreamInput, for instance: SVSMInstance, stopsAtFirst: Bool = false,
    trace: SessionTrace? = nil
  ) throws(MigrationError) -> VerificationReport {
    try audit(input, offer: instance.offer, instance: instance, stopsAtFirst, trace)
  }

  private func audit(
    _ input: StreamInput, offer: MigrationData?, instance: SVSMInstance?, _ stopsAtFirst: Bool,
    _ trace: SessionTrace?
  ) throws(MigrationError) -> VerificationReport {
    let findings = FindingLedger(.snp, stopsAtFirst: stopsAtFirst)
    var audit = StreamAudit(
      input, offer: offer, instance: instance, trust: trust, crew: crew, noting: findings,
      trace: trace, progress: progress)
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
