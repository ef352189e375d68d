package import Errors
package import JSON
package import QEMUStream

/// The first step in which two traces differ.
package struct TraceDifference: Sendable, Equatable {
  /// A member of the step that differs. Members of a member are named `counts.present`.
  package struct Field: Sendable, Equatable {
    package var name: String
    /// The values; nil where the step does not have the member.
    package var first: JSON?
    package var second: JSON?
  }

  /// Number of the step, from 1; 0 when the traces are of different sides.
  package var step: UInt64
  /// The step in each trace; nil where that trace has ended.
  package var first: JSON?
  package var second: JSON?
  /// The members that differ, in the order of the first trace; empty when one trace has ended.
  package var fields: [Field]
}

/// A trace: where its bytes come from, and its name in messages.
package struct NamedTrace {
  package var source: any ByteSource
  package var name: String

  package init(_ source: any ByteSource, named name: String) {
    (self.source, self.name) = (source, name)
  }
}

/// Compares two traces step by step.
/// - Parameter ignored: names of members that may differ, such as `offset`; `counts` names all that is in it.
/// - Returns: the first difference; nil when there is none.
/// - Throws: `INPUT-KIND` when one is not a trace; `JSON-SYNTAX`, `IO-READ`.
package func firstDifference(
  of first: NamedTrace, and second: NamedTrace, ignoring ignored: Set<String> = []
) throws(MigrationError) -> TraceDifference? {
  var mine = try TraceReader(first.source, named: first.name)
  var theirs = try TraceReader(second.source, named: second.name)
  if mine.side != theirs.side, !ignored.contains("side") {
    return TraceDifference(
      step: 0,
      fields: [.init(name: "side", first: .string(mine.side), second: .string(theirs.side))])
  }
  var step: UInt64 = 1
  while true {
    let (left, right) = (try mine.next(), try theirs.next())
    if left == nil, right == nil { return nil }
    guard let left, let right else {
      return TraceDifference(step: step, first: left, second: right, fields: [])
    }
    if left != right {
      let fields = fields(of: left, and: right).filter { !$0.isIn(ignored) }
      if !fields.isEmpty {
        return TraceDifference(step: step, first: left, second: right, fields: fields)
      }
    }
    step += 1
  }
}

extension TraceDifference.Field {
  /// Whether one of the names is its own, or that of a member in which it is.
  fileprivate func isIn(_ names: Set<String>) -> Bool {
    guard !names.isEmpty else { return false }
    return names.contains(name)
      || name.indices.contains { name[$0] == "." && names.contains(String(name[..<$0])) }
  }
}

/// The members that two objects do not share, and those that only the second one has last.
private func fields(of first: JSON, and second: JSON, below: String = "") -> [TraceDifference.Field]
{
  var found: [TraceDifference.Field] = []
  // Looking for each among all others takes minutes where an object has tens of thousands.
  let (mine, theirs) = (first.firstValues, second.firstValues)
  for member in first.members ?? [] {
    let other = theirs[Array(member.key.utf8)]
    if member.value == other { continue }
    if let other, member.value.members != nil, other.members != nil {
      found += fields(of: member.value, and: other, below: "\(below)\(member.key).")
    } else {
      found.append(.init(name: below + member.key, first: member.value, second: other))
    }
  }
  for member in second.members ?? [] where mine[Array(member.key.utf8)] == nil {
    found.append(.init(name: below + member.key, first: nil, second: member.value))
  }
  return found
}

extension JSON {
  /// The first value under each key of an object, by the bytes of the key.
  fileprivate var firstValues: [[UInt8]: JSON] {
    Dictionary((members ?? []).map { (Array($0.key.utf8), $0.value) }) { first, _ in first }
  }
}
