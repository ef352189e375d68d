package import Errors
package import Inspection
internal import JSON
internal import QEMUStream

/// Compares two sides: what differs, what of that follows from something else, and what could not be compared.
package struct Comparison {
  /// In the order of areas.
  package var differences: BoundedList<Difference> { notes.differences }
  package private(set) var states = BoundedList<StateDifference>()
  /// In the order of the first side's blocks.
  package private(set) var pages = BoundedList<PageDifference>()
  package private(set) var uncompared: [Uncompared] = []
  /// Pages of 4096 bytes that both sides have; some of them may be encrypted.
  package private(set) var comparedPages: UInt64 = 0
  /// Pages of `pages`, omitted ones too, by kind: the first kinds, in the order in which they were found.
  package private(set) var pageCounts: [PageCount] = []
  /// Differences that a rule left out; runs of pages count once.
  package var ignored: Int { notes.ignored }

  /// Pages of one block that differ in one way.
  package struct PageCount: Equatable, Sendable {
    package let kind: PageKind
    package fileprivate(set) var pages: UInt64
  }

  /// Most kinds that are counted: each record can say something else.
  private static let kindLimit = 4096

  package let before: Side
  package let after: Side
  let notes: DifferenceNotes

  /// - Throws: `IO-READ`, `INPUT-OPEN`.
  package init(
    _ before: Side, _ after: Side, ignoring rules: [IgnoreRule]
  ) throws(MigrationError) {
    (self.before, self.after, notes) = (before, after, DifferenceNotes(rules))
    for area in Area.allCases {
      switch area {
      case .section: compareSections()
      case .device: try compareDevices()
      case .pageStates: compareStates()
      case .memory: try compareMemory()
      case .record: break
      case .description: try compareDescriptions()
      default: try compareTopics(area)
      }
    }
    try compareBytes()
  }

  /// Whether nothing differs but what rules leave out.
  package var isEqual: Bool {
    differences.count == 0 && states.count == 0 && pages.count == 0
  }

  var isSameForm: Bool { before.form == after.form }

  // MARK: Facts

  private mutating func compareTopics(_ area: Area) throws(MigrationError) {
    guard var one = before.topics[area], var other = after.topics[area] else {
      let missing = before.topics[area] == nil ? before : after
      noteUnknown(area, by: missing)
      return
    }
    // An import has its own place for what commands say.
    if area == .command, !isSameForm { return }
    if area == .service, !isSameForm {
      // An SNP stream carries parts of the machine as a service; a bundle keeps them with the machine.
      (one, other) = (one.without("machine"), other.without("machine"))
    }
    // What a side encrypts is compared in the clear where both are open.
    if area == .final, before.isOpen, after.isOpen { return }
    try compare(one, other, in: area)
  }

  /// Notes that one side does not tell what the other one does, or that neither can.
  private mutating func noteUnknown(_ area: Area, by side: Side) {
    let twin = side === before ? after : before
    guard twin.topics[area] != nil || side.form == .snp && twin.form == .snp else { return }
    let reason: Uncompared.Reason
    switch area {
    case .vcpu where side.form == .snp, .service where side.form == .snp,
      .secretsPage where side.form == .snp:
      reason = .needsInstance
    case .vcpu, .map: reason = .unknown
    case .service, .secretsPage: reason = .form
    default: return
    }
    uncompared.append(Uncompared(area: area, reason: reason))
  }

  private func compare(
    _ one: TopicList, _ other: TopicList, in area: Area
  ) throws(MigrationError) {
    let later = Dictionary(
      other.names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    for (index, name) in one.names.enumerated() {
      if let twin = later[name] {
        compare(try one.topic(index), try other.topic(twin))
      } else {
        notes.note(Difference(area: area, name: name, change: .removed))
      }
    }
    let known = Set(one.names)
    for name in other.names where !known.contains(name) {
      notes.note(Difference(area: area, name: name, change: .added))
    }
  }

  private func compare(_ one: Topic, _ other: Topic) {
    let isSameSession = before.sessionKey == after.sessionKey
    for (index, fact) in one.facts.enumerated() {
      let twin = other.fact(fact.name, near: index)
      // Streams and guests do not tell the same facts; and another key encrypts everything otherwise.
      guard twin != nil || isSameForm else { continue }
      if fact.name == "ciphertext", twin == nil || !isSameSession { continue }
      compare(fact.value, twin?.value, of: one, fact)
    }
    guard isSameForm else { return }
    for (index, fact) in other.facts.enumerated()
    where fact.name != "ciphertext" && one.fact(fact.name, near: index) == nil {
      compare(nil, fact.value, of: one, fact)
    }
  }

  private func compare(_ value: JSON?, _ now: JSON?, of topic: Topic, _ fact: Fact) {
    func tell(_ path: String, _ change: Difference.Change) -> Difference {
      Difference(
        area: topic.area, name: topic.name, field: path, change: change, cause: fact.cause)
    }
    guard let value, let now else { return notes.note(tell(fact.name, .init(value, now))) }
    let notes = notes
    ValueComparison { notes.note(tell($0, $1)) }.compare(value, now, at: fact.name)
  }

  // MARK: Sections and devices

  private func compareSections() {
    var (one, other) = (before.machineSections, after.machineSections)
    if isSameForm, let mine = before.sections, let theirs = after.sections {
      (one, other) = (mine, theirs)
    }
    let (mine, theirs) = (Self.indices(one), Self.indices(other))
    for section in one {
      if let twin = theirs[section.key].map({ other[$0] }) {
        if section != twin { compare(section.topic, twin.topic) }
      } else {
        notes.note(Difference(area: .section, name: section.key.shown, change: .removed))
      }
    }
    for section in other where mine[section.key] == nil {
      notes.note(Difference(area: .section, name: section.key.shown, change: .added))
    }
    let common = (
      one.lazy.filter { theirs[$0.key] != nil }, other.lazy.filter { mine[$0.key] != nil }
    )
    if let moved = zip(common.0, common.1).first(where: { $0.key != $1.key }) {
      notes.note(
        Difference(
          area: .section, name: "", field: "order",
          change: .changed(before: .string(moved.0.key.shown), after: .string(moved.1.key.shown))))
    }
  }

  private static func indices(_ sections: [SectionFacts]) -> [MachineDevices.Key: Int] {
    var indices = [MachineDevices.Key: Int](minimumCapacity: sections.count)
    for (index, section) in sections.enumerated() { indices[section.key] = index }
    return indices
  }

  private mutating func compareDevices() throws(MigrationError) {
    let (one, other) = (before.devices, after.devices)
    var budgets = (one.budget, other.budget)
    for key in one.keys {
      guard let body = try one.body(key), let twin = try other.body(key) else { continue }
      if body == twin {
        // What is the same, but described otherwise, is told as a difference of the descriptions.
        guard !isSameForm else { continue }
        guard let described = try one.description(key),
          let otherwise = try other.description(key), described != otherwise
        else { continue }
      }
      if let values = try one.values(key, &budgets.0), let now = try other.values(key, &budgets.1) {
        let isShown = compareDevice(key, values, now)
        // A version of a subsection, or what a field of several bytes does not show.
        if !isShown, body != twin { noteBytes(of: key, body, twin) }
      } else if body != twin {
        noteBytes(of: key, body, twin)
      }
    }
    if max(one.omitted, other.omitted) > 0 {
      uncompared.append(Uncompared(area: .device, reason: .tooLarge))
    }
  }

  /// Bytes of a body that nothing describes, or that no field shows.
  private func noteBytes(of key: MachineDevices.Key, _ body: [UInt8], _ twin: [UInt8]) {
    notes.note(
      Difference(
        area: .device, name: key.shown, field: "bytes",
        change: .init(.hex(bytes: body), .hex(bytes: twin))))
  }

  /// - Returns: whether any field differs.
  private func compareDevice(
    _ key: MachineDevices.Key, _ values: JSON, _ now: JSON
  ) -> Bool {
    var isDifferent = false
    let (section, shown, notes) = ("\(key.name)", key.shown, notes)
    let moving = MovingFields(of: section)
    let isCPU = section == "cpu" && notes.changedVCPUs.contains("\(key.instance)")
    ValueComparison(renaming: isSameForm) { path, change in
      isDifferent = true
      let cause =
        moving.cause(of: path) ?? (isCPU && CPURegisters.contain(path) ? .registers : nil)
      notes.note(
        Difference(area: .device, name: shown, field: path, change: change, cause: cause))
    }.compare(values, now)
    return isDifferent
  }

  // MARK: Memory

  private mutating func compareStates() {
    guard let one = before.states, let other = after.states else {
      for side in [before, after] where side.form == .snp && side.states == nil {
        uncompared.append(Uncompared(area: .pageStates, reason: .needsInstance))
        break
      }
      return
    }
    var found = BoundedList<StateDifference>()
    one.differences(to: other) {
      if !notes.leavesOut(Area.pageStates.rawValue, nil) { found.append($0) }
    }
    states = found
  }

  private mutating func compareMemory() throws(MigrationError) {
    var memory = MemoryComparison(before, after)
    var found = BoundedList<PageDifference>()
    var counts: [PageCount] = []
    let notes = notes
    var indices: [PageKind: Int] = [:]
    try memory.run { difference in
      let path = "\(difference.area.rawValue)/\(difference.block)"
      guard !notes.leavesOut(path, difference.cause) else { return }
      found.append(difference)
      if let index = indices[difference.kind] {
        counts[index].pages += difference.pages
      } else if counts.count < Self.kindLimit {
        indices[difference.kind] = counts.count
        counts.append(PageCount(kind: difference.kind, pages: difference.pages))
      }
    }
    (pages, pageCounts, comparedPages) = (found, counts, memory.pages)
    if !before.leftOutBlocks.isEmpty || !after.leftOutBlocks.isEmpty {
      uncompared.append(Uncompared(area: .block, reason: .unknown))
    }
    if memory.hiddenPages > 0 {
      uncompared.append(
        Uncompared(area: .memory, reason: .needsInstance, pages: memory.hiddenPages))
    }
  }
}

/// Fields of QEMU's section `cpu` that a VMSA holds too.
enum CPURegisters {
  /// Names without `env.`; a field is one of them or a part of one.
  private static let names = [
    "regs", "eip", "eflags", "hflags", "fpuc", "fpus_vmstate", "fptag_vmstate", "fpregs", "segs",
    "ldt",
    "tr", "gdt", "idt", "sysenter_cs", "sysenter_esp", "sysenter_eip", "cr", "dr", "mxcsr",
    "xmm_regs",
    "efer", "star", "lstar", "cstar", "fmask", "kernelgsbase", "pat", "tsc_aux", "xcr0", "xss",
    "pkru",
    "fpop", "fpip", "fpdp",
  ]

  static func contain(_ path: String) -> Bool {
    guard let start = path.range(of: "env.") else { return false }
    let field = path[start...].prefix { $0 != "[" && $0 != "." }
    return names.contains(String(field))
  }
}

extension String {
  /// Where the text after the first occurrence of `word` begins; nil without one.
  fileprivate func range(of word: String) -> Index? {
    var place = startIndex
    while place < endIndex {
      if self[place...].hasPrefix(word) { return index(place, offsetBy: word.count) }
      place = index(after: place)
    }
    return nil
  }
}
