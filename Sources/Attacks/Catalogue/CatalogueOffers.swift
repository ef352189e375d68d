internal import Errors

extension Attack {
  /// Offers that a source must refuse, signed again by a model chip where necessary; and a source
  /// that was used.
  static let offers: [Attack] = [
    Attack(
      "offer-other-key", [21], "the host's own key in a genuine offer",
      "set offer.public_key host-key", subject: .offer, plain: .init(saved: [.reportData])),
    Attack(
      "offer-no-point", [21, 38], "a key that is not a point of the curve",
      """
      set offer.public_key+1 zero
      bind report
      sign report
      """,
      subject: .offer, plain: .init(saved: [.offerKey])),
    Attack(
      "offer-version", [39], "an older version of the offer", "set offer.version zero",
      subject: .offer, plain: .init(saved: [.offerVersion])),
    Attack(
      "offer-kem", [39], "another key encapsulation", "set offer.kem 0010", subject: .offer,
      plain: .init(saved: [.offerSuite])),
    Attack(
      "offer-cipher", [39], "a weaker cipher", "set offer.aead 0001", subject: .offer,
      plain: .init(saved: [.offerSuite])),
    Attack(
      "offer-flags", [39], "an offer that denies, or claims, that its keys come from a seed",
      "flip offer.flags+3 mask=02", subject: .offer, plain: .init(saved: [.reportData])),
    Attack(
      "offer-unknown-flags", [39], "unknown flags", "set offer.flags 80000000", subject: .offer,
      plain: .init(saved: [.offerSyntax])),
    Attack(
      "offer-huge-report", [38], "huge: the report", "set offer.report_length ones",
      subject: .offer, plain: .init(saved: [.offerSyntax])),
    Attack(
      "offer-huge-certificates", [38], "huge: the certificates",
      "set offer.certificates_length ones", subject: .offer, plain: .init(saved: [.offerSyntax])),
    Attack(
      "offer-truncated", [13], "an offer that ends early", "truncate at offer.certificates+100",
      subject: .offer, plain: .init(saved: [.offerSyntax])),
    Attack(
      "offer-trailing", [14], "bytes after the offer", "append hex:00", subject: .offer,
      plain: .init(saved: [.offerSyntax])),
    Attack(
      "offer-report-changed", [21], "a report that was changed after it was signed",
      "flip offer.report.MEASUREMENT mask=?", subject: .offer,
      plain: .init(saved: [.reportSignature])),
    Attack(
      "offer-report-stale", [20],
      "a genuine report of another key of this platform: an older offer's",
      """
      set offer.report.REPORT_DATA random
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportData])),
    Attack(
      "offer-vmpl", [22], "a report that a guest OS asked for",
      """
      set offer.report.VMPL 01000000
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportVMPL])),
    Attack(
      "offer-debug", [23], "a destination that its host may debug",
      """
      set offer.report.POLICY 00000b0000000000
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportDebug])),
    Attack(
      "offer-policy", [23], "a policy that no guest can have",
      """
      set offer.report.POLICY zero
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportPolicy])),
    Attack(
      "offer-weaker-policy", [23], "a destination that may do what the source's guest must not",
      """
      set offer.report.POLICY 0000230000000000
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportPolicy])),
    Attack(
      "offer-migration-agent", [23], "a destination that firmware may migrate",
      """
      set offer.report.POLICY 0000070000000000
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportMigrationAgent])),
    Attack(
      "offer-migration-agent-id", [23], "a destination under a migration agent",
      """
      set offer.report.REPORT_ID_MA zero
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportMigrationAgent])),
    Attack(
      "offer-tcb-other", [19], "a TCB that is not its certificate's",
      """
      set offer.report.REPORTED_TCB zero
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportTCB])),
    Attack(
      "offer-tcb-rollback", [19], "a platform that runs below the TCB it reports",
      """
      set offer.report.CURRENT_TCB zero
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportTCB])),
    Attack(
      "offer-tcb-committed", [19], "more TCB committed than runs",
      """
      set offer.report.COMMITTED_TCB+0 ff
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportTCB])),
    Attack(
      "offer-foreign-chip", [24], "a report by another chip under this one's certificate",
      "sign report chip=1", subject: .offer, plain: .init(saved: [.reportSignature])),
    Attack(
      "offer-chip-id", [24], "a report that names another chip",
      """
      set offer.report.CHIP_ID random
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportChip])),
    Attack(
      "offer-masked-chip", [24], "a report that names no chip",
      """
      set offer.report.CHIP_ID zero
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportChip])),
    Attack(
      "offer-product", [24], "a report of another product",
      """
      set offer.report.CPUID_MOD_ID 11
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportProduct])),
    Attack(
      "offer-vlek", [25], "a report signed for a provider",
      """
      set offer.report.KEY_INFO 04000000
      sign report
      """,
      subject: .offer, plain: .init(saved: [.certificateName])),
    Attack(
      "offer-unsigned", [24], "a report that says it is unsigned",
      """
      set offer.report.KEY_INFO 1c000000
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportSigningKey])),
    Attack(
      "offer-algorithm", [39], "another signature algorithm",
      """
      set offer.report.SIGNATURE_ALGO 02000000
      sign report
      """,
      subject: .offer, plain: .init(saved: [.reportAlgorithm])),
    Attack(
      "offer-certificate-changed", [24], "a certificate that was changed",
      "flip offer.certificates+1200 mask=?", subject: .offer,
      plain: .init(saved: [.certificateChain])),
    Attack(
      "offer-no-certificates", [24], "no certificate", "set offer.certificates zero",
      subject: .offer, plain: .init(saved: [.certificateMissing])),
    Attack(
      "offer-certificate-table", [24, 38], "a table whose entries lie beyond it",
      "set offer.certificates+16 ffffffff", subject: .offer,
      plain: .init(saved: [.certificateTable])),
    Attack(
      "source-runs-on", [17], "a source that has handed its guest over saves again", "",
      subject: .source, plain: .init(saved: [.instanceUsed])),
  ]
}
