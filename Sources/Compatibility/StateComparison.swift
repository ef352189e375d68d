internal import Errors

/// Whether a target reads what a source wrote of one device's state, by QEMU's rules
/// (`migration/vmstate.c`), which `Formats/target.md` tells.
struct StateComparison {
  /// What is known of the source.
  enum Source {
    /// What one stream holds. Of it versions of structs within the state are not on the wire.
    case stream
    /// All that its QEMU may write, as a dump has it.
    case dump
  }

  let source: Source
  /// What errors name.
  let place: Place
  let offset: UInt64?
  private(set) var findings = StateFindings()
  private(set) var budget: ComparisonBudget
  /// Names of the fields around the one that is looked at.
  private var path: [String] = []

  init(_ source: Source, in place: Place, at offset: UInt64?, _ budget: ComparisonBudget) {
    (self.source, self.place, self.offset, self.budget) = (source, place, offset, budget)
  }

  /// Compares fields, then subsections.
  /// - Parameter version: of the state; nil when nothing tells it.
  mutating func compare(_ saved: StateLayout, _ target: StateLayout, version: UInt32?) {
    if requireEntry("Fields", saved.hasFields, target.hasFields, .targetField) {
      align(saved.fields, target.fields(at: version))
    }
    guard
      requireEntry(
        "Subsections", saved.hasSubsections, target.hasSubsections, .targetSubsection)
    else { return }
    for subsection in saved.subsections {
      guard budget.take(1 + target.subsections.count) else { return }
      guard
        let known = target.subsections.first(where: {
          $0.name.utf8.elementsEqual(subsection.name.utf8)
        })
      else {
        find(
          .targetSubsection, "the destination does not know subsection \(show(subsection.name))")
        continue
      }
      path.append(subsection.name)
      if requireVersion(subsection.version, known) {
        compare(subsection, known, version: subsection.version)
      }
      path.removeLast()
    }
  }

  /// What one dump has and the other lacks altogether.
  private mutating func requireEntry(
    _ name: String, _ isThere: Bool, _ isKnown: Bool, _ code: ErrorCode
  ) -> Bool {
    guard source == .dump, isThere, !isKnown else { return true }
    find(code, "\(name) are missing at the destination")
    return false
  }

  /// - Returns: whether `version` is one that the target reads.
  mutating func requireVersion(_ version: UInt32, _ target: StateLayout) -> Bool {
    requireVersion(version, from: target.minimumVersion ?? 0, to: target.version)
  }

  mutating func requireVersion(_ version: UInt32, from oldest: UInt32, to newest: UInt32) -> Bool {
    guard version <= newest, version >= oldest else {
      let isNewer = version > newest
      find(
        .targetVersion,
        isNewer
          ? "version is newer than any the destination reads"
          : "version is older than any the destination reads",
        expected: oldest < newest ? "\(oldest) to \(newest)" : "\(newest)", got: "\(version)")
      return false
    }
    return true
  }

  // MARK: Fields

  private mutating func align(_ saved: [StateLayout.Field], _ target: [StateLayout.Field]) {
    guard budget.take(saved), budget.take(target) else { return }
    let alignment = FieldAlignment(saved, target)
    for step in alignment.steps {
      switch step {
      case .pair(let one, let other): compare(saved[one], target[other])
      case .run(let some, let others):
        resolve(saved[some], target[others], in: alignment)
      }
    }
  }

  private mutating func compare(_ saved: StateLayout.Field, _ target: StateLayout.Field) {
    path.append(saved.name)
    defer { path.removeLast() }
    if source == .dump, saved.since > target.since {
      find(
        .targetVersion, "field exists only from a later version on than at the destination",
        expected: "at most \(target.since)", got: "\(saved.since)")
    }
    switch (saved.layouts.isEmpty, target.layouts.isEmpty) {
    case (true, true): compareSizes(saved, target)
    case (false, false): compareStructs(saved, target)
    case (true, false) where source == .stream && saved.isList: findings.opaque += 1
    case (false, true) where source == .dump || saved.isList:
      find(.targetField, "field has a description, and none at the destination")
    default: resolve([saved], [target], in: nil)
    }
  }

  private mutating func compareStructs(_ saved: StateLayout.Field, _ target: StateLayout.Field) {
    // The keys of a tree have descriptions that a dump does not show.
    guard saved.type != "gtree", let known = target.layouts.first else {
      findings.opaque += 1
      return
    }
    if let problem = saved.countProblem(target) {
      find(.targetField, problem.what, expected: problem.expected, got: problem.got)
    }
    if source == .dump {
      for layout in saved.layouts {
        _ = requireVersion(layout.version, known)
        compare(layout, known, version: layout.version)
      }
      return
    }
    let version: UInt32? =
      switch saved.type {
      case "struct": known.version
      case "vstruct": nil
      // These are read by the version of the field.
      default: target.since
      }
    for (index, layout) in saved.layouts.enumerated() {
      // Elements of an array are mostly alike.
      if index > 0, layout == saved.layouts[index - 1] { continue }
      compare(layout, known, version: version)
    }
  }

  private mutating func compareSizes(_ saved: StateLayout.Field, _ target: StateLayout.Field) {
    guard target.size > 0, source == .dump || saved.hasPlainForm else {
      findings.opaque += 1
      return
    }
    if let problem = saved.sizeProblem(target) {
      find(.targetField, problem.what, expected: problem.expected, got: problem.got)
    }
  }

  // MARK: What has no partner by name

  /// Looks at fields that have no partner by name: what lies on the wire may be the same.
  /// - Parameter alignment: of all fields around them, which tells what has changed places.
  private mutating func resolve(
    _ saved: ArraySlice<StateLayout.Field>, _ target: ArraySlice<StateLayout.Field>,
    in alignment: FieldAlignment?
  ) {
    let required = target.filter { !$0.isConditional && $0.count != 0 }
    let bytes = StateLayout.Field.bytes(of: saved)
    if saved.isEmpty || bytes == 0 {
      // What code decides about may still be there, and an array may have no elements.
      for field in required { miss(field, alignment) }
      return
    }
    for expected in [required, Array(target)] where !expected.isEmpty {
      if let bytes, StateLayout.Field.bytes(of: expected) == bytes {
        return noteNames(saved, expected)
      }
    }
    if let partners = partners(of: saved, in: target) {
      for (field, other) in zip(saved, partners) {
        noteNames([field], [other])
        compare(field, other)
      }
      return
    }
    if let flat = flattened(saved, target) {
      return align(flat.saved, flat.target)
    }
    for field in saved where field.bytes != 0 {
      let isElsewhere = alignment?.isKnown(field) ?? false
      find(
        .targetField,
        isElsewhere
          ? "field is at another place at the destination"
          : "field is not known at the destination",
        expected: required.first.map { show($0.name) } ?? "no field here", got: show(field.name))
    }
    for field in required { miss(field, alignment) }
  }

  /// A field that the target reads and the source does not write.
  private mutating func miss(_ field: StateLayout.Field, _ alignment: FieldAlignment?) {
    // One that has changed places is told where it is.
    if alignment?.isSaved(field) ?? false, !field.isUnused { return }
    guard source == .dump || field.layouts.isEmpty else {
      return findings.note(
        "\(show(path + [field.name])) is not in the stream: as if without elements")
    }
    find(.targetField, "field is missing that the destination reads", expected: show(field.name))
  }

  /// Fields of the target, one for each of the source in order, that may be these under other names; nil
  /// when there are none, or one that it reads in any case has no partner.
  private func partners(
    of saved: ArraySlice<StateLayout.Field>, in target: ArraySlice<StateLayout.Field>
  ) -> [StateLayout.Field]? {
    var partners: [StateLayout.Field] = []
    var rest = saved
    for field in target where field.count != 0 {
      if let next = rest.first, next.mayBe(field) {
        partners.append(field)
        rest = rest.dropFirst()
      } else if !field.isConditional {
        return nil
      }
    }
    return rest.isEmpty ? partners : nil
  }

  /// The same fields, with those that a struct holds in its place: a struct is not on the wire.
  private func flattened(
    _ saved: ArraySlice<StateLayout.Field>, _ target: ArraySlice<StateLayout.Field>
  ) -> (saved: [StateLayout.Field], target: [StateLayout.Field])? {
    let isStruct = { (field: StateLayout.Field) in
      field.layouts.count == 1 && (field.count ?? 1) == 1 && !field.isList
        && (field.type == nil || field.layouts[0].subsections.isEmpty)
    }
    guard saved.contains(where: isStruct) || target.contains(where: isStruct) else { return nil }
    let open = { (field: StateLayout.Field) -> [StateLayout.Field] in
      guard isStruct(field) else { return [field] }
      return field.layouts[0].fields(at: field.type == nil ? field.layouts[0].version : nil).map {
        var part = $0
        part.isConditional = part.isConditional || field.isConditional
        return part
      }
    }
    return (saved.flatMap(open), target.flatMap(open))
  }

  // MARK: Texts

  /// Notes what is wrong with the field that is looked at.
  mutating func find(
    _ code: ErrorCode, _ what: String, expected: String? = nil, got: String? = nil
  ) {
    findings.add(
      MigrationError(
        code, path.isEmpty ? what : "\(show(path)): \(what)", in: place, at: offset,
        expected: expected, got: got))
  }

  /// Notes under which names the target reads fields, if these are others.
  private mutating func noteNames(
    _ saved: ArraySlice<StateLayout.Field>, _ target: [StateLayout.Field]
  ) {
    guard !saved.elementsEqual(target, by: { $0.name == $1.name }) else { return }
    let around = path.isEmpty ? "" : "\(show(path)): "
    findings.note("\(around)\(names(saved)) is read as \(names(target[...]))")
  }

  private func names(_ fields: ArraySlice<StateLayout.Field>) -> String {
    (fields.prefix(8).map { show($0.name) } + (fields.count > 8 ? ["…"] : []))
      .joined(separator: ", ")
  }

  private func show(_ name: String) -> String { printable(name) }

  /// The way to a field. Of a long one the end tells where it is.
  private func show(_ path: [String]) -> String {
    (path.count > 8 ? ["…"] : []) + path.suffix(8).map(printable).joined(separator: ".")
  }
}
