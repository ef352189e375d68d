internal import Cryptography
internal import Errors
internal import Guest
internal import Migration
internal import SEVSNP
internal import SVSM
internal import Wire

/// Bytes of one space: the input itself (space 0), or a copy that a recipe inserted.
struct Location: Hashable, Sendable {
  var space: Int
  /// Offset in the store from which the space is.
  var offset: UInt64
  var size: UInt64
}

/// A part of a stream that a recipe names, and the space that it belongs to.
struct NamedPart: Hashable, Sendable {
  var space: Int
  var part: Anatomy.Part
}

/// The inputs of a recipe, and the names of places in them.
struct Scene {
  typealias Input = Materials.Input

  let inputs: [Input]
  /// The revisions of the pages of each input.
  private let revisions: [PageRevisions]
  /// For each space, the input from which it is. Space 0 is the first input.
  var spaces: [Int] = [0]
  /// Copies that have a label.
  var labels: [String: NamedPart] = [:]
  /// Determines the choices that a recipe leaves open.
  var seed: [UInt8]

  init(_ inputs: [Input], seed: [UInt8]) {
    self.inputs = inputs
    self.seed = seed
    revisions = inputs.map { PageRevisions($0) }
  }

  // MARK: Choices

  /// A number below `count` that is derived from the seed and `what`.
  func choose(_ what: String, below count: UInt64) throws(MigrationError) -> UInt64 {
    guard count > 0 else { return 0 }
    let digest = try SHA256.hash(seed + Array(what.utf8))
    return UInt64(bigEndianBytes: digest.prefix(8)) % count
  }

  func index(
    _ index: PlaceSyntax.Index?, of count: Int, _ name: String, _ place: PlaceSyntax
  ) throws(MigrationError) -> Int {
    let value: Int
    switch index {
    case nil: value = 0
    case .number(let number): value = number
    case .last: value = count - 1
    case .chosen(let step):
      // All lines get the same choice. The last one is never chosen, so that a next one exists if
      // there are at least two.
      value = Int(try choose(name, below: UInt64(max(count - 1, 1)))) + step
    }
    guard value >= 0, value < count else { throw missing(place) }
    return value
  }

  func missing(_ place: PlaceSyntax) -> MigrationError {
    MigrationError(.recipePlace, "there is no \(place.text)")
  }

  // MARK: Places

  /// The part that a place names, or that holds it.
  /// - Parameter input: the input of places without a label; space 0 means input 0 only.
  func part(_ place: PlaceSyntax, input: Int = 0) throws(MigrationError) -> NamedPart {
    try find(place, input: input).part
  }

  func find(
    _ place: PlaceSyntax, input: Int
  ) throws(MigrationError) -> (part: NamedPart, rest: ArraySlice<PlaceSyntax.Step>) {
    guard case .path(let steps) = place.base, let first = steps.first else {
      throw missing(place)
    }
    let anatomy = inputs[input].anatomy
    if first.index == nil, let labelled = labels[first.name] {
      return (labelled, steps.dropFirst())
    }
    // Names of two steps are tried first: "ram.part[2]".
    if first == .init(name: "page"), steps.count >= 2,
      let revision = PageRevisions.Name(rawValue: steps[1].name)
    {
      let revisions = revisions[input]
      let index = try index(
        steps[1].index, of: revisions.count(revision), "page.\(revision.rawValue)", place)
      guard let part = try revisions.part(revision, index) else { throw missing(place) }
      return (NamedPart(space: 0, part: part), steps.dropFirst(2))
    }
    if first.index == nil, steps.count >= 2,
      let part = try part(
        called: "\(first.name).\(steps[1].name)", steps[1].index, of: anatomy, place)
    {
      return (part, steps.dropFirst(2))
    }
    guard let part = try part(called: first.name, first.index, of: anatomy, place) else {
      throw missing(place)
    }
    return (part, steps.dropFirst())
  }

  /// The part with this number among those of the kind called `name`; nil when there is no such
  /// kind.
  private func part(
    called name: String, _ number: PlaceSyntax.Index?, of anatomy: Anatomy,
    _ place: PlaceSyntax
  ) throws(MigrationError) -> NamedPart? {
    guard let kind = Anatomy.Kind(name: name) else { return nil }
    let index = try index(number, of: anatomy.count(kind), name, place)
    guard let part = try anatomy.part(kind, index) else { throw missing(place) }
    return NamedPart(space: 0, part: part)
  }

  /// The bytes that a place names.
  /// - Throws: `RECIPE-PLACE` when the input has no such place.
  func locate(_ place: PlaceSyntax, input: Int = 0) throws(MigrationError) -> Location {
    var found = try locateBase(place, input: input)
    switch place.shift {
    case nil: break
    case .bytes(let shift):
      guard shift <= found.size else { throw missing(place) }
      found.offset += shift
      found.size -= shift
    case .chosen:
      let shift = try choose(place.text, below: found.size)
      found.offset += shift
      found.size -= shift
    }
    return found
  }

  private func locateBase(
    _ place: PlaceSyntax, input: Int
  ) throws(MigrationError) -> Location {
    let size = inputs[input].store.size
    switch place.base {
    case .absolute(let offset):
      guard offset <= size else { throw missing(place) }
      return Location(space: 0, offset: offset, size: size - offset)
    case .end: return Location(space: 0, offset: size, size: 0)
    case .path(let steps):
      if place.part == nil, steps.count >= 2, steps[0] == .init(name: "ram"),
        let kinds = Self.ramKinds[steps[1].name]
      {
        return try locateRAM(steps, kinds, place, inputs[input].anatomy)
      }
    }
    let (named, rest) = try find(place, input: input)
    let shown = inputs[named.space == 0 ? input : spaces[named.space]]
    let range =
      if let part = place.part {
        try locate(part, of: named.part, isWhole: rest.isEmpty, place, shown)
      } else {
        try locateField(Array(rest), of: named.part, place, shown)
      }
    // The lengths in an offer or an instance file have not been checked yet.
    guard range.upperBound <= shown.store.size else { throw missing(place) }
    return Location(
      space: named.space, offset: range.lowerBound, size: UInt64(range.count))
  }

  /// Finds the bytes of `header(…)`, `footer(…)`, `body(…)`, `rest(…)` and `all(…)`.
  /// - Parameters:
  ///   - part: the part named in the parentheses.
  ///   - isWhole: whether the parentheses name the part itself and no field in it.
  ///   - shown: the input that holds the part.
  private func locate(
    _ word: PlaceSyntax.Part, of part: Anatomy.Part, isWhole: Bool, _ place: PlaceSyntax,
    _ shown: Input
  ) throws(MigrationError) -> Range<UInt64> {
    guard isWhole, place.inner.isEmpty || word == .header else { throw missing(place) }
    switch word {
    case .header:
      guard part.kind.isSection else { throw missing(place) }
      guard let field = place.inner.first else { return part.start..<part.body }
      guard place.inner.count == 1, field.index == nil,
        let found = FieldTable(shown, part: part).header(field.name)
      else { throw missing(place) }
      return found
    case .footer:
      guard part.kind.isSection else { throw missing(place) }
      return part.body + part.bodySize..<part.end
    case .all:
      guard let first = try shown.anatomy.part(part.kind, 0),
        let last = try shown.anatomy.part(part.kind, shown.anatomy.count(part.kind) - 1)
      else { throw missing(place) }
      return first.start..<last.end
    case .rest: return part.start..<shown.store.size
    case .body: return part.body..<part.body + part.bodySize
    }
  }

  /// The bytes of a field of a part, or of the whole part.
  private func locateField(
    _ steps: [PlaceSyntax.Step], of part: Anatomy.Part, _ place: PlaceSyntax, _ shown: Input
  ) throws(MigrationError) -> Range<UInt64> {
    if steps.isEmpty { return part.start..<part.end }
    let found = try FieldTable(shown, part: part).find(steps) {
      (step, count) throws(MigrationError) in try index(step.index, of: count, step.name, place)
    }
    guard let found else { throw missing(place) }
    return found
  }

  /// The words after `ram` that name a record, and the kinds of records among which each counts.
  private static let ramKinds = [
    "page": 0..<Anatomy.SharedRecord.kinds,
    "content": Anatomy.SharedRecord.content..<Anatomy.SharedRecord.content + 1,
    "zero": Anatomy.SharedRecord.zero..<Anatomy.SharedRecord.zero + 1,
  ]

  /// Finds `ram.page[5]`, counted among all records, `ram.content[5]`, among those with content, or
  /// `ram.zero[5]`, among the others; and in each of them `.content`, `.word`, `.name` or `.fill`.
  private func locateRAM(
    _ steps: [PlaceSyntax.Step], _ kinds: Range<Int>, _ place: PlaceSyntax, _ anatomy: Anatomy
  ) throws(MigrationError) -> Location {
    let index = try index(
      steps[1].index, of: anatomy.recordCount(kinds), "ram.\(steps[1].name)", place)
    guard let record = try anatomy.record(index, of: kinds) else { throw missing(place) }
    let name = record.start + Anatomy.SharedRecord.wordSize
    let content = name + record.nameSize
    let range: Range<UInt64>
    let rest = steps.dropFirst(2)
    guard rest.count <= 1, rest.first?.index == nil else { throw missing(place) }
    switch rest.first?.name {
    case nil: range = record.start..<record.end
    case "word": range = record.start..<name
    case "name" where record.nameSize > 0: range = name..<content
    case "content" where !record.isZero: range = content..<record.end
    case "fill" where record.isZero: range = content..<record.end
    default: throw missing(place)
    }
    return Location(space: 0, offset: range.lowerBound, size: UInt64(range.count))
  }
}
