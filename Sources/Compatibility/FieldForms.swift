// What can be told of two fields without looking into them.
extension StateLayout.Field {
  struct Problem {
    var what: String
    var expected: String
    var got: String
  }

  /// Forms of which the size in memory, which a dump has, is that on the wire.
  private static let plainForms: Set<String> = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "int32 equal", "int32 le", "int64 equal", "uint8 equal", "uint16 equal", "uint32 equal",
    "buffer", "unused_buffer", "CPU_Double_U", "pci config", "pci irq state",
  ]

  /// Whether the size of it says what is on the wire.
  var hasPlainForm: Bool { type.map { Self.plainForms.contains($0) } ?? true }

  /// Whether it is a list, whose elements a stream describes only if there are some.
  var isList: Bool { ["qtailq", "qlist", "gtree"].contains(type) }

  /// What is wrong when a target reads this field, which is no struct, as `target`; nil for nothing.
  func sizeProblem(_ target: Self) -> Problem? {
    if let bytes, target.count != nil, target.bytes == bytes { return nil }
    if size == target.size {
      return countProblem(target)
    }
    // Bytes may be read as the elements of an array; how many there are a dump need not say.
    if target.count == nil, let bytes {
      if bytes == target.size { return nil }
      let isBytes = type == "buffer" || type == "unused_buffer"
      if isBytes, target.size <= 8, bytes % target.size == 0 { return nil }
    }
    // Between two dumps neither need say it: room may be in use as elements, and elements leave room.
    if type == nil, size > 0, target.size > 0 {
      if target.isUnused, count == nil, target.size % size == 0 { return nil }
      if isUnused, target.count == nil, size % target.size == 0 { return nil }
    }
    return Problem(
      what: "field has another size at the destination", expected: "\(target.size) bytes",
      got: "\(size)")
  }

  /// What is wrong with the number of elements, where both sides say it.
  func countProblem(_ target: Self) -> Problem? {
    guard let count, let other = target.count, count != other else { return nil }
    return Problem(
      what: "field has another number of elements at the destination", expected: "\(other)",
      got: "\(count)")
  }

  /// Whether `target` may be this field under another name.
  func mayBe(_ target: Self) -> Bool {
    guard layouts.isEmpty == target.layouts.isEmpty else { return false }
    return !layouts.isEmpty
      || target.size > 0 && hasPlainForm && sizeProblem(target) == nil
      || target.size == 0 && !hasPlainForm
  }
}

extension StateLayout {
  /// The fields that are read of a state of `version`, those included that code decides about.
  /// - Parameter version: nil when nothing tells it: then what came with a version may be there.
  func fields(at version: UInt32?) -> [Field] {
    guard let version else {
      return fields.map {
        var field = $0
        field.isConditional = field.isConditional || field.since > 0
        return field
      }
    }
    return fields.filter { $0.isConditional || $0.since <= version }
  }
}
