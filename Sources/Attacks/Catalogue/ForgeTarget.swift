internal import Errors
internal import SEVSNP
internal import SVSM
internal import Wire

/// What a `forge` line changes: a field covered by a tag, or encrypted bytes.
struct ForgeTarget {
  var part: NamedPart
  var area: LateEdit.Area
  /// Size of the place in bytes.
  var size: Int
}

extension Scene {
  /// Finds what `place` names in the data that a source seals.
  /// - Throws: `RECIPE-PLACE`.
  func forgeTarget(_ place: PlaceSyntax) throws(MigrationError) -> ForgeTarget {
    guard place.part == nil, place.shift != .chosen else { throw missing(place) }
    let (named, rest) = try find(place, input: 0)
    let steps = Array(rest)
    guard let first = steps.first, let area = try forgeArea(named.part, first, steps, place) else {
      throw missing(place)
    }
    let size = area.range?.count ?? Int(named.part.bodySize) - FinalRecord.Layout.size
    guard case .bytes(let bytes) = place.shift else {
      return ForgeTarget(part: named, area: area, size: size)
    }
    guard let shift = Int(exactly: bytes), shift < size else { throw missing(place) }
    return ForgeTarget(part: named, area: area.dropping(shift, of: size), size: size - shift)
  }

  private func forgeArea(
    _ part: Anatomy.Part, _ first: PlaceSyntax.Step, _ steps: [PlaceSyntax.Step],
    _ place: PlaceSyntax
  ) throws(MigrationError) -> LateEdit.Area? {
    let record: any WireRecord.Type
    switch part.kind {
    case .session:
      guard steps.count == 2, first == .init(name: "report"), steps[1].index == nil else {
        return nil
      }
      return AttestationReport.Layout.range(of: steps[1].name).map { .report($0) }
    case .final(let kind):
      let isInside = first == .init(name: "plaintext")
      if isInside, steps.count == 1 { return .wholePlaintext }
      guard !isInside, steps.count == 1, FinalRecord.Layout.range(of: first.name) != nil else {
        // After "plaintext." a name means a field of the plaintext, even if the record has a field
        // of that name too.
        let fields = isInside ? Array(steps.dropFirst()) : steps
        return try plaintext(kind, part, fields, place).map { .plaintext($0) }
      }
      record = FinalRecord.Layout.self
    case .page where first == .init(name: "content"):
      return steps.count == 1 ? .plaintext(0..<PageMetadata.pageSize) : nil
    case .page: record = PageMetadata.Layout.self
    case .token: record = EpochToken.Layout.self
    case .commit: record = CommitRecord.Layout.self
    default: return nil
    }
    // A tag cannot be forged: it is computed after all other fields are set.
    guard steps.count == 1, first.index == nil, first.name != "tag" else { return nil }
    return record.range(of: first.name).map { .part($0.moved(by: Int(part.body - part.start))) }
  }

  /// A field of the encrypted data, or a field of such a field.
  private func plaintext(
    _ kind: FinalRecord.Kind, _ part: Anatomy.Part, _ steps: [PlaceSyntax.Step],
    _ place: PlaceSyntax
  ) throws(MigrationError) -> Range<Int>? {
    let size = Int(part.bodySize) - FinalRecord.Layout.size
    let (first, second) = (steps[0], steps.dropFirst().first)
    guard steps.count <= 2, second?.index == nil else { return nil }
    switch kind.row.plaintext {
    case .list(let layout, let entry):
      guard first.name == entry else { return nil }
      let start = try index(first.index, of: size / layout.size, entry, place) * layout.size
      guard let second else { return start..<start + layout.size }
      return layout.range(of: second.name)?.moved(by: start)
    case .open(let layout, let rest):
      guard first.index == nil, second == nil else { return nil }
      return first.name == rest ? layout.size..<size : layout.range(of: first.name)
    case .record(let layout, let part):
      guard first.index == nil, let outer = layout.range(of: first.name) else { return nil }
      guard let second else { return outer }
      guard let part, part.name == first.name else { return nil }
      return part.layout.range(of: second.name)?.moved(by: outer.lowerBound)
    }
  }
}
