/// The kinds of facts that are compared, in the order in which differences are listed.
package enum Area: String, Sendable, CaseIterable {
  case file, configuration, session, block, map, command, section, vcpu, device, service
  case secretsPage = "secrets-page"
  case pageStates = "page-states"
  case memory
  /// What the record of a private page says in the clear.
  case record
  case epoch, final, commit, seal
  /// The VM description, by which sections can be read.
  case description
}

/// Why a fact can differ although the guest is the same, or although its cause is listed already.
package enum Cause: String, Sendable, CaseIterable {
  /// Counts time: the clock that a guest or one of its devices reads, a timer's next expiry.
  case clock
  /// The time of day in the clock chip.
  case rtc
  /// Belongs to one session: its keys, what is encrypted under them, a host's secrets page.
  case session
  /// Rises with each migration.
  case generation
  /// A register of a vCPU, again in QEMU's section `cpu`.
  case registers
  /// Follows from everything else in the stream: sizes, counts, hashes.
  case derived
}
