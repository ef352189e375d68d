internal import Errors

extension Attack {
  /// A source that lies about itself. It runs on the model platform, because no other platform
  /// signs for it.
  static let rogueReports: [Attack] = [
    Attack(
      "fake-source", [27], "a guest of the attacker's by a source that shows no proof",
      "rogue one-way", passesOneWay: true, plain: .init([nil], [nil], loaded: [.sessionOneWay])),
    Attack(
      "fake-source-unbound", [27, 21], "by a source whose report is for another session",
      "forge session.report.REPORT_DATA random", plain: .init([.reportData], [.reportData])),
    Attack(
      "rogue-report-vmpl", [22, 27], "a source whose report was asked for by a guest OS",
      "forge session.report.VMPL 01000000", plain: .init([.reportVMPL], [.reportVMPL])),
    Attack(
      "rogue-report-debug", [23, 27], "a source that the host may debug",
      "forge session.report.POLICY 00000b0000000000", plain: .init([.reportDebug], [.reportDebug])),
    Attack(
      "rogue-report-agent", [23, 27], "a source that firmware may migrate",
      "forge session.report.POLICY 0000070000000000",
      plain: .init([.reportMigrationAgent], [.reportMigrationAgent])),
    Attack(
      "rogue-report-agent-id", [23, 27], "a source under a migration agent",
      "forge session.report.REPORT_ID_MA zero",
      plain: .init([.reportMigrationAgent], [.reportMigrationAgent])),
    Attack(
      "rogue-report-tcb", [19, 27], "a source with another TCB than its certificate's",
      "forge session.report.REPORTED_TCB zero", plain: .init([.reportTCB], [.reportTCB])),
    Attack(
      "rogue-report-rollback", [19, 27],
      "a source that says it was launched above its present TCB",
      "forge session.report.CURRENT_TCB zero", plain: .init([.reportTCB], [.reportTCB])),
    Attack(
      "rogue-report-chip", [24, 27], "a source of another chip",
      "forge session.report.CHIP_ID random", plain: .init([.reportChip], [.reportChip])),
    Attack(
      "rogue-report-product", [24, 27], "a source of another product",
      "forge session.report.CPUID_MOD_ID 11", plain: .init([.reportProduct], [.reportProduct])),
    Attack(
      "rogue-report-vlek", [25, 27], "a source whose report is signed for a provider",
      "forge session.report.KEY_INFO 04000000",
      plain: .init([.certificateName], [.certificateName])),
  ]
}
