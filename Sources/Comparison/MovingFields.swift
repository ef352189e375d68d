/// Fields of QEMU's devices that change while a guest does nothing, because time passes
/// (`Formats/diff.md`, section 4).
package struct MovingFields {
  /// Patterns of the section's name and of the field's path.
  private static let patterns: [(cause: Cause, section: String, fields: [String])] = [
    (.rtc, "mc146818rtc", ["*"]),
    (.clock, "timer", ["*"]),
    (.clock, "kvmclock", ["*"]),
    (.clock, "kvm-tpr-opt", ["*.rtc_*"]),
    (
      .clock, "cpu",
      ["env.tsc", "env.tsc_offset", "*.env.tsc_deadline", "*.env.tsc_khz", "*env.steal_time_*"]
    ),
    (
      .clock, "apic", ["initial_count_load_time", "next_time", "timer_expiry"]
    ),
    (.clock, "hpet", ["hpet_counter", "*hpet_offset*", "timer[*].cmp*", "timer[*].qemu_timer"]),
    (.clock, "i8254", ["*.count_load_time", "*next_transition_time"]),
    (.clock, "pcspk", ["dummy_refresh_clock"]),
    (.clock, "*", ["*tmr.timer", "*tmr.overflow_time", "*tco.tco_regs.tco_*", "*.expire_time"]),
    (.clock, "*/uhci", ["frame_timer", "expire_time", "frnum"]),
    (.clock, "*/ehci", ["frame_timer", "last_run_ns", "frindex"]),
    (.clock, "slirp", ["*curtime*", "*tcp_now*"]),
  ]

  private static let table = patterns.map { row in
    (cause: row.cause, section: Array(row.section.utf8), fields: row.fields.map { Array($0.utf8) })
  }

  private let rows: [(cause: Cause, section: [UInt8], fields: [[UInt8]])]

  /// The fields of one section.
  package init(of section: String) {
    let section = Array(section.utf8)
    rows = Self.table.filter { Glob.matches($0.section, section) }
  }

  /// Why a field moves by itself; nil for one that does not.
  package func cause(of field: String) -> Cause? {
    let field = Array(field.utf8)
    return rows.first { row in row.fields.contains { Glob.matches($0, field) } }?.cause
  }
}
