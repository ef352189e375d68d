internal import Errors
internal import Inspection
internal import JSON
internal import Migration
internal import QEMUStream
package import SEVSNP
package import SVSM

/// A thing that a side has, and what is known of it.
struct Topic {
  var area: Area
  /// Distinguishes it from others of its area.
  var name: String
  var facts: [Fact]

  init(_ area: Area, _ name: String = "", _ facts: [Fact]) {
    (self.area, self.name, self.facts) = (area, name, facts)
  }

  /// The fact of a name, which is most often at the same place as in another topic.
  func fact(_ name: String, near index: Int) -> Fact? {
    if facts.indices.contains(index), facts[index].name == name { return facts[index] }
    return facts.first { $0.name == name }
  }
}

/// The things of one area. Each is made when it is compared, since there may be tens of thousands.
struct TopicList {
  /// Names of the things, in order.
  let names: [String]
  /// The thing of a number.
  let topic: (Int) throws(MigrationError) -> Topic

  init(_ names: [String], _ topic: @escaping (Int) throws(MigrationError) -> Topic) {
    (self.names, self.topic) = (names, topic)
  }

  init(_ topics: [Topic]) { self.init(topics.map(\.name)) { topics[$0] } }

  /// All but the thing of a name.
  func without(_ name: String) -> TopicList {
    let (all, kept) = (topic, names.indices.filter { names[$0] != name })
    return TopicList(kept.map { names[$0] }) { (index) throws(MigrationError) in
      try all(kept[index])
    }
  }
}

/// A section, without its body.
struct SectionFacts: Equatable {
  let key: MachineDevices.Key
  private let version: UInt32
  private let comesInParts: Bool
  /// Bytes of the body of a full section, where they are known.
  private let size: UInt64?
  /// What a section holds that comes in parts, where it is known.
  private let content: SectionParts.Content?

  init(_ header: SectionHeader, size: UInt64? = nil, content: SectionParts.Content? = nil) {
    (key, comesInParts) = (MachineDevices.Key(header), header.kind != .full)
    version = header.version & ~SNPSection.optionalBit
    self.size = comesInParts ? content?.size : size
    self.content = content
  }

  var topic: Topic {
    var facts = [Fact("version", count: version), Fact("parts", .bool(comesInParts))]
    if let size { facts.append(Fact("size", count: size, .derived)) }
    if let content { facts.append(Fact("sha256", .hex(bytes: content.sha256))) }
    return Topic(.section, key.shown, facts)
  }

  /// The sections of an order in which each comes once.
  static func distinct(_ sections: some Sequence<SectionFacts>) -> [SectionFacts] {
    var seen: Set<MachineDevices.Key> = []
    return sections.filter { seen.insert($0.key).inserted }
  }
}

/// One named value.
struct Fact {
  var name: String
  var value: JSON
  var cause: Cause?

  init(_ name: String, _ value: JSON, _ cause: Cause? = nil) {
    (self.name, self.value, self.cause) = (name, value, cause)
  }

  init(_ name: String, count: some BinaryInteger, _ cause: Cause? = nil) {
    self.init(name, JSON(count), cause)
  }
}

/// What the record of a private page says, apart from its place in the stream.
package struct PageRecordFacts: Hashable, Sendable {
  package var epoch: UInt32
  package var operation: PageMetadata.Operation
  package var size: RMPPageSize
  package var permissions: VMPLPermissions
}

/// The state of a page.
package struct PageStateFacts: Equatable, Sendable {
  package var state: PageState
  package var size: RMPPageSize
  package var permissions: VMPLPermissions

  init(_ run: PageRun) { (state, size, permissions) = (run.state, run.size, run.permissions) }
}
