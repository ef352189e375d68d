import Comparison
import Testing

@Suite struct IgnoreRuleTests {
  /// Rows: rule, what differs, whether the rule leaves it out.
  @Test(arguments: [
    ("device/hpet", "device/hpet/timer[0].cmp", true), ("device/hpet", "device/hpet", true),
    ("device/hpet", "device/hpet 1/timer[0].cmp", false), ("device/hp", "device/hpet/a", false),
    ("device/hpet/timer*", "device/hpet/timer[0].cmp", true),
    ("device/*/timer*", "device/0000:00:01.0/uhci/timer", true),
    ("device", "device/hpet/a", true), ("*", "vcpu/0/RIP", true),
    ("vcpu/*/RIP", "vcpu/1/RIP", true),
    ("vcpu/*/RIP", "vcpu/1/RSP", false), ("memory/pc.ram", "memory/pc.ram", true),
    ("memory/pc.ram", "memory/pc.ram2", false), ("v*u/**0/R*P", "vcpu/0/RIP", true),
  ])
  func aPatternFitsWhatItNames(rule: String, path: String, fits: Bool) throws {
    #expect(try #require(IgnoreRule(parsing: rule)).covers(path, nil) == fits)
  }

  @Test("A cause is left out wherever it comes, and nothing else is")
  func aCauseIsLeftOut() throws {
    let rule = try #require(IgnoreRule(parsing: "clock"))
    #expect(rule.covers("device/hpet/hpet_counter", .clock))
    #expect(!rule.covers("device/hpet/hpet_counter", nil))
    #expect(!rule.covers("clock", .rtc))
  }

  @Test(arguments: ["", "colour", "Device/hpet", "devices/hpet", "/hpet"])
  func whatNamesNothingIsNoRule(text: String) { #expect(IgnoreRule(parsing: text) == nil) }

  @Test("A pattern of many stars takes no time that grows beyond measure")
  func manyStarsAreQuick() {
    let pattern = [UInt8](repeating: UInt8(ascii: "*"), count: 1000) + [1]
    #expect(!Glob.matches(pattern, [UInt8](repeating: 2, count: 5000)))
  }

  /// Rows: section, field, and why it moves.
  @Test(arguments: [
    ("timer", "cpu_ticks_offset", Cause.clock), ("mc146818rtc", "cmos_data", .rtc),
    ("hpet", "timer[2].cmp", .clock), ("hpet", "config", nil), ("apic", "next_time", .clock),
    ("apic", "id", nil), ("i8254", "channels[0].next_transition_time", .clock),
    ("cpu", "env.tsc", .clock), ("cpu", "env.eip", nil),
    ("0000:00:1f.0/ICH9LPC", "pm.acpi_regs.tmr.overflow_time", .clock),
    ("0000:00:01.2/uhci", "frame_timer", .clock),
  ])
  func aFieldMovesForACause(section: String, field: String, cause: Cause?) {
    #expect(MovingFields(of: section).cause(of: field) == cause)
  }
}
