package import Errors
package import Inspection
internal import JSON
internal import QEMUStream

/// Compares two sides: what differs, what of that follows from something else, and what could not be compared.
package struct Comparison {
  /// In the order of areas.
  package private(set) var differences = BoundedList<Difference>()
  package private(set) var states = BoundedList<StateDifference>()
  /// In the order of the first side's blocks.
  package private(set) var pages = BoundedList<PageDifference>()
  package private(set) var uncompared: [Uncompared] = []
  /// Pages of 4096 bytes that both sides have; some of them may be encrypted.
  package private(set) var comparedPages: UInt64 = 0
  /// Pages of `pages`, omitted ones too, by kind: the first kinds, in the order in which they were found.
  package private(set) var pageCounts: [PageCount] = []
  /// Differences that a rule left out; runs of pages count once.
  package private(set) var ignored = 0

  /// Pages of one block that differ in one way.
  package struct PageCount: Equatable, Sendable {
    package let kind: PageKind
    package fileprivate(set) var pages: UInt64
  }

  /// Most kinds that are counted: each record can say something else.
  private static let kindLimit = 4096

  package let before: Side
  package let after: Side
  private let rules: [IgnoreRule]
  /// Names of the vCPUs of which registers differ.
  private var changedVCPUs: Set<String> = []

  /// - Throws: `IO-READ`, `INPUT-OPEN`.
  package init(
    _ before: Side, _ after: Side, ignoring rules: [IgnoreRule]
  ) throws(MigrationError) {
    (self.before, self.after, self.rules) = (before, after, rules)
    for area in Area.allCases {
      switch area {
      case .section: compareSections()
      case .device: compareDevices()
      case .pageStates: compareStates()
      case .memory: try compareMemory()
      case .record: break
      default: compareTopics(area)
      }
    }
  }

  /// Whether nothing differs but what rules leave out.
  package var isEqual: Bool {
    differences.count == 0 && states.count == 0 && pages.count == 0
  }

  private var isSameForm: Bool { before.form == after.form }

  // MARK: Facts

  private func isIgnored(_ path: String, _ cause: Cause?) -> Bool {
    rules.contains { $0.covers(path, cause) }
  }

  private mutating func note(_ difference: Difference) {
    if difference.area == .vcpu { changedVCPUs.insert(difference.name) }
    if isIgnored(difference.path, difference.cause) {
      ignored += 1
    } else {
      differences.append(difference)
    }
  }

  private mutating func compareTopics(_ area: Area) {
    guard var one = before.topics[area], var other = after.topics[area] else {
      let missing = before.topics[area] == nil ? before : after
      noteUnknown(area, by: missing)
      return
    }
    if area == .service, !isSameForm {
      // An SNP stream carries parts of the machine as a service; a bundle keeps them with the machine.
      one.removeAll { $0.name == "machine" }
      other.removeAll { $0.name == "machine" }
    }
    // What a side encrypts is compared in the clear where both are open.
    if area == .final, before.isOpen, after.isOpen { return }
    compare(one, other)
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

  private mutating func compare(_ one: [Topic], _ other: [Topic]) {
    let later = Dictionary(other.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let known = Set(one.map(\.name))
    for topic in one {
      if let twin = later[topic.name] {
        compare(topic, twin)
      } else {
        note(Difference(area: topic.area, name: topic.name, change: .removed))
      }
    }
    for topic in other where !known.contains(topic.name) {
      note(Difference(area: topic.area, name: topic.name, change: .added))
    }
  }

  private mutating func compare(_ one: Topic, _ other: Topic) {
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

  private mutating func compare(_ value: JSON?, _ now: JSON?, of topic: Topic, _ fact: Fact) {
    func tell(_ path: String, _ change: Difference.Change) -> Difference {
      Difference(
        area: topic.area, name: topic.name, field: path, change: change, cause: fact.cause)
    }
    guard let value, let now else { return note(tell(fact.name, .init(value, now))) }
    var found: [Difference] = []
    ValueComparison { found.append(tell($0, $1)) }.compare(value, now, at: fact.name)
    for difference in found { note(difference) }
  }

  // MARK: Sections and devices

  private mutating func compareSections() {
    var (one, other) = (before.machineSections, after.machineSections)
    if isSameForm, let mine = before.topics[.section], let theirs = after.topics[.section] {
      (one, other) = (mine, theirs)
    }
    compare(one, other)
    let names = (Set(one.map(\.name)), Set(other.map(\.name)))
    let order = (
      one.map(\.name).filter(names.1.contains), other.map(\.name).filter(names.0.contains)
    )
    if let moved = zip(order.0, order.1).first(where: { $0 != $1 }) {
      note(
        Difference(
          area: .section, name: "", field: "order",
          change: .changed(before: .string(moved.0), after: .string(moved.1))))
    }
  }

  private mutating func compareDevices() {
    var decoding = (before.devices.decoding, after.devices.decoding)
    for key in before.devices.keys {
      guard let body = before.devices.body(key), let twin = after.devices.body(key) else {
        continue
      }
      let described = (
        before.devices.descriptionOfBody(key), after.devices.descriptionOfBody(key)
      )
      if body == twin, described.0 == described.1 || described.0 == nil || described.1 == nil {
        continue
      }
      guard case .success(let one) = before.devices.state(key, &decoding.0),
        case .success(let other) = after.devices.state(key, &decoding.1)
      else {
        if body != twin { noteBytes(of: key, body, twin) }
        continue
      }
      compareDevice(key, one, other)
    }
    let omitted = max(before.devices.bodies.omitted, after.devices.bodies.omitted)
    if omitted > 0 { uncompared.append(Uncompared(area: .device, reason: .tooLarge)) }
  }

  /// Bytes of a body that nothing describes.
  private mutating func noteBytes(of key: MachineDevices.Key, _ body: [UInt8], _ twin: [UInt8]) {
    note(
      Difference(
        area: .device, name: key.shown, field: "bytes",
        change: .init(.hex(bytes: body), .hex(bytes: twin))))
  }

  private mutating func compareDevice(
    _ key: MachineDevices.Key, _ one: DeviceState, _ other: DeviceState
  ) {
    var found: [(String, Difference.Change)] = []
    ValueComparison { found.append(($0, $1)) }.compare(one.fields, other.fields)
    let section = "\(key.name)"
    let moving = MovingFields(of: section)
    let isCPU = section == "cpu" && changedVCPUs.contains("\(key.instance)")
    for (path, change) in found {
      let cause =
        moving.cause(of: path) ?? (isCPU && CPURegisters.contain(path) ? .registers : nil)
      note(Difference(area: .device, name: key.shown, field: path, change: change, cause: cause))
    }
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
    for difference in one.differences(to: other) {
      if isIgnored(Area.pageStates.rawValue, nil) {
        ignored += 1
      } else {
        states.append(difference)
      }
    }
  }

  private mutating func compareMemory() throws(MigrationError) {
    var memory = MemoryComparison(before, after)
    var found = BoundedList<PageDifference>()
    var counts: [PageCount] = []
    var left = 0
    let rules = rules
    var indices: [PageKind: Int] = [:]
    try memory.run { difference in
      let path = "\(difference.area.rawValue)/\(difference.block)"
      guard !rules.contains(where: { $0.covers(path, difference.cause) }) else {
        left += 1
        return
      }
      found.append(difference)
      if let index = indices[difference.kind] {
        counts[index].pages += difference.pages
      } else if counts.count < Self.kindLimit {
        indices[difference.kind] = counts.count
        counts.append(PageCount(kind: difference.kind, pages: difference.pages))
      }
    }
    (pages, pageCounts, comparedPages) = (found, counts, memory.pages)
    ignored += left
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
