internal import Bytes
internal import SEVSNP
internal import SVSM

/// What a `forge` line is about: a field under a tag, or encrypted bytes.
struct ForgeTarget {
  var part: NamedPart
  var area: LateEdit.Area
  /// Bytes of the place.
  var size: Int
}

extension Scene {
  /// Finds what `place` names in what a source seals.
  /// - Throws: `RECIPE-PLACE`.
  func forgeTarget(_ place: PlaceSyntax) throws(MigrationError) -> ForgeTarget {
    guard place.part == nil, place.shift != .chosen else { throw missing(place) }
    let (named, rest) = try find(place, input: 0)
    let part = named.part
    var shift = 0
    if case .bytes(let bytes) = place.shift {
      guard let small = Int(exactly: bytes) else { throw missing(place) }
      shift = small
    }
    let steps = Array(rest)
    guard let first = steps.first else { throw missing(place) }
    let body = Int(part.body - part.start)
    func target(
      _ make: (Range<Int>) -> LateEdit.Area, _ range: Range<Int>?
    ) throws(MigrationError) -> ForgeTarget {
      guard let range, shift < range.count else { throw missing(place) }
      let shifted = range.lowerBound + shift..<range.upperBound
      return ForgeTarget(part: named, area: make(shifted), size: shifted.count)
    }
    func inPart(_ layout: RecordLayout) throws(MigrationError) -> ForgeTarget {
      let range = Self.range(layout, first)
      return try target({ .part($0) }, range.map { $0.lowerBound + body..<$0.upperBound + body })
    }
    switch part.kind {
    case .page where first.name == "content": return try target({ .plaintext($0) }, 0..<4096)
    case .page: return try inPart(PageMetadata.recordLayout)
    case .token: return try inPart(EpochToken.layout)
    case .commit: return try inPart(CommitRecord.layout)
    case .session where first.name == "report" && steps.count == 2:
      return try target({ .report($0) }, Self.range(AttestationReport.layout, steps[1]))
    case .vcpu, .service, .secrets, .states:
      if first.name == "plaintext", steps.count == 1 {
        return ForgeTarget(part: named, area: .wholePlaintext, size: Int(part.bodySize) - 40)
      }
      // Under "plaintext." stand fields whose names the record outside has, too.
      let fields = first.name == "plaintext" ? Array(steps.dropFirst()) : steps
      if fields.count == steps.count, Self.range(FinalRecord.layout, first) != nil {
        return try inPart(FinalRecord.layout)
      }
      let length = Int(part.bodySize) - FinalRecord.layout.size
      if let range = Self.plaintext(part.kind, fields, length: length) {
        return try target({ .plaintext($0) }, range)
      }
      return try target(
        { .plaintext($0) }, stateRun(part, fields[0], fields.dropFirst().first, place))
    default: throw missing(place)
    }
  }

  private static func range(_ layout: RecordLayout, _ step: PlaceSyntax.Step) -> Range<Int>? {
    guard let field = layout.fields.first(where: { $0.name == step.name }) else { return nil }
    return field.offset..<field.offset + field.size
  }

  /// A field of what is encrypted, and a field within it.
  private static func plaintext(
    _ kind: Anatomy.Kind, _ steps: [PlaceSyntax.Step], length: Int
  ) -> Range<Int>? {
    let layouts: (RecordLayout, inner: (name: String, RecordLayout)?)
    switch kind {
    case .vcpu: layouts = (VCPUPlaintext.layout, ("vmsa", VMSA.layout))
    case .secrets: layouts = (SecretsPlaintext.layout, ("facts", SecretsPageFacts.layout))
    case .service:
      if steps[0].name == "blob" { return ServicePlaintext.layout.size..<length }
      layouts = (ServicePlaintext.layout, nil)
    default: return nil
    }
    guard let outer = range(layouts.0, steps[0]) else { return nil }
    guard steps.count > 1 else { return outer }
    guard let inner = layouts.inner, inner.name == steps[0].name,
      let found = range(inner.1, steps[1])
    else { return nil }
    return outer.lowerBound + found.lowerBound..<outer.lowerBound + found.upperBound
  }

  /// `run[2]` or a field of it.
  private func stateRun(
    _ part: Anatomy.Part, _ step: PlaceSyntax.Step, _ field: PlaceSyntax.Step?,
    _ place: PlaceSyntax
  ) throws(MigrationError) -> Range<Int>? {
    guard part.kind == .states, step.name == "run" else { return nil }
    let size = PageStateMap.runLayout.size
    let count = (Int(part.bodySize) - FinalRecord.layout.size) / size
    let start = try index(step.index, of: count, "run", place) * size
    guard let field else { return start..<start + size }
    return Self.range(PageStateMap.runLayout, field).map {
      start + $0.lowerBound..<start + $0.upperBound
    }
  }
}
