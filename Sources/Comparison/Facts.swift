internal import JSON
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
