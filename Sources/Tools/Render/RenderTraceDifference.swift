package import Inspection
package import JSON

extension TraceDifference {
  /// The difference in lines: the step, and each member with its two values.
  package func text(_ first: String, _ second: String) -> String {
    var out = RenderedText()
    guard step > 0 else {
      out.line("the traces are of different sides")
      for field in fields { out.line("  \(field.text)") }
      return out.text
    }
    switch (self.first, self.second) {
    case (nil, let step?):
      out.line("step \(self.step) is only in \(second): \(step.heading)")
    case (let step?, nil):
      out.line("step \(self.step) is only in \(first): \(step.heading)")
    case (let left?, let right?):
      let isSame = left["call"] == right["call"]
      out.line(
        "step \(step) is the first that differs: \(left.heading)"
          + (isSame ? "" : " in \(first), \(right.heading) in \(second)"))
      for field in fields { out.line("  \(field.text)") }
    case (nil, nil): break
    }
    return out.text
  }

  /// The difference as JSON, schema `svsm-migration/trace-difference/1` (`Formats/json.md`).
  /// - Parameter difference: nil when the traces are the same.
  package static func json(_ difference: TraceDifference?, _ first: String, _ second: String)
    -> JSON
  {
    var members: [JSON.Member] = [
      .init("schema", "svsm-migration/trace-difference/1"), .init("first", .string(first)),
      .init("second", .string(second)), .init("equal", .bool(difference == nil)),
    ]
    if let difference {
      members += [
        .init("step", JSON(difference.step)),
        .init("firstStep", difference.first ?? .null),
        .init("secondStep", difference.second ?? .null),
        .init("fields", .array(difference.fields.map(\.json))),
      ]
    }
    members.append(.init("exitStatus", JSON(difference == nil ? 0 : 1)))
    return .object(members)
  }
}

extension TraceDifference.Field {
  fileprivate var text: String { "\(name): \(Self.text(first)) → \(Self.text(second))" }

  private static func text(_ value: JSON?) -> String {
    value.map { $0.string ?? $0.description } ?? "none"
  }

  fileprivate var json: JSON {
    ["name": .string(name), "first": first ?? .null, "second": second ?? .null]
  }
}

extension JSON {
  /// A step in a few words: its call, and where it is in the stream.
  fileprivate var heading: String {
    let call = self["call"]?.string ?? "a step without a call"
    return call + (self["epoch"]?.uint.map { " in epoch \($0)" } ?? "")
      + (self["offset"]?.uint.map { " at byte 0x\(String($0, radix: 16))" } ?? "")
  }
}
