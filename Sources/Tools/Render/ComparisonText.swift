internal import Comparison
internal import Errors
internal import Inspection
internal import JSON
internal import Wire

/// A comparison as text: what differs, then in one line for each cause what follows from it or moves by itself,
/// what could not be compared, and the verdict.
struct ComparisonText {
  /// Receives the text, piece by piece.
  typealias Write = (String) throws(MigrationError) -> Void

  /// Most fields of one thing, and runs of pages of one kind, that are listed without `--verbose`.
  private static let listLimit = 8
  /// Most things of one area that are listed without `--verbose`.
  private static let areaLimit = 16
  /// Bytes of text that are collected before they are written.
  private static let pieceSize = 64 << 10

  private let found: Comparison
  private let isLong: Bool
  private let style: Style
  private let write: Write
  private var out = RenderedText()
  /// Indices of the runs of pages of each kind.
  private let runs: [PageKind: [Int]]

  private init(_ found: Comparison, isLong: Bool, style: Style, write: @escaping Write) {
    (self.found, self.isLong, self.style, self.write) = (found, isLong, style, write)
    let pages = found.pages.elements
    runs = Dictionary(grouping: pages.indices) { pages[$0].kind }
  }

  /// - Parameters:
  ///   - isLong: whether everything is listed.
  ///   - write: receives the text.
  /// - Throws: what `write` throws.
  static func render(
    _ found: Comparison, isLong: Bool, style: Style, write: @escaping Write
  ) throws(MigrationError) {
    var text = ComparisonText(found, isLong: isLong, style: style, write: write)
    text.sides()
    for area in Area.allCases {
      switch area {
      case .pageStates: try text.states()
      case .memory, .record: try text.memory(area)
      default: try text.facts(area)
      }
    }
    for cause in Cause.allCases { text.folded(cause) }
    text.uncompared()
    text.verdict()
    try write(text.out.takeText())
  }

  /// Writes the text so far when there is enough of it.
  private mutating func flush() throws(MigrationError) {
    if out.size > Self.pieceSize { try write(out.takeText()) }
  }

  // MARK: The sides

  private mutating func sides() {
    for (mark, side) in [("A", found.before), ("B", found.after)] {
      var parts = [side.machine.isEmpty ? side.form.text : "\(side.form.text) of \(side.machine)"]
      parts.append("\(Spelled.size(side.memorySize)) of memory")
      if let count = side.vcpuCount { parts.append(Spelled.count(count, "vCPU")) }
      if let size = side.size { parts.append("file \(Spelled.size(size))") }
      out.line("\(mark)  \(side.name): \(parts.joined(separator: ", "))")
    }
  }

  // MARK: Facts

  /// Differences of one thing that stand for themselves, or all of them where everything is listed.
  private mutating func facts(_ area: Area) throws(MigrationError) {
    let all = found.differences.elements
    let listed = all.indices.filter { all[$0].area == area && (isLong || all[$0].cause == nil) }
    var rest = listed[...]
    var (count, more) = (0, Excerpt(atMost: Self.listLimit))
    while let first = rest.first {
      let name = all[first].name
      let thing = rest.prefix { all[$0].name == name }
      rest = rest.dropFirst(thing.count)
      count += 1
      if isLong || count <= Self.areaLimit {
        try show(area.label(name), thing)
      } else {
        more.append { area.label(name) }
      }
    }
    if !more.isEmpty { out.line("and \(more.text)") }
  }

  /// - Parameter fields: indices of differences of one thing.
  private mutating func show(_ label: String, _ fields: ArraySlice<Int>) throws(MigrationError) {
    let all = found.differences.elements
    if fields.count == 1, let field = fields.first {
      out.line("\(label): \(all[field].text)")
      return try flush()
    }
    out.line("\(label): \(fields.count) differences")
    let limit = isLong ? fields.count : Self.listLimit
    for field in fields.prefix(limit) {
      out.line("  \(all[field].text)")
      try flush()
    }
    if fields.count > limit {
      out.line("  and \(fields.count - limit) more (--verbose lists them)")
    }
  }

  // MARK: Memory

  private mutating func states() throws(MigrationError) {
    let runs = found.states.elements
    guard !runs.isEmpty else { return }
    let pages = runs.reduce(0) { $0 + $1.pages }
    try list(
      "page states: \(Spelled.count(pages, "page"))", runs.count, omitted: found.states.omitted
    ) {
      let change = PageStateFacts.change(runs[$0].before, runs[$0].after)
      return "\(Spelled.addresses(runs[$0].gpa, pages: runs[$0].pages))  \(change)"
    }
  }

  private mutating func memory(_ area: Area) throws(MigrationError) {
    // Records that differ in the same way may have other things in common; these are not listed.
    var kinds: [(pages: UInt64, members: [PageKind])] = []
    var indices: [String: Int] = [:]
    for count in found.pageCounts
    where count.kind.area == area && (isLong || count.kind.cause == nil) {
      let way = count.kind.change.sentence(0, of: count.kind.block)
      let index = indices["\(way) \(count.kind.cause?.rawValue ?? "")", default: kinds.count]
      if index == kinds.count { kinds.append((0, [])) }
      indices["\(way) \(count.kind.cause?.rawValue ?? "")"] = index
      kinds[index].pages += count.pages
      kinds[index].members.append(count.kind)
    }
    let limit = isLong ? kinds.count : Self.areaLimit
    let (pages, all) = (found.pages.elements, runs)
    for kind in kinds.prefix(limit) {
      let sentence = kind.members[0].change.sentence(kind.pages, of: kind.members[0].block)
      let runs = kind.members.flatMap { all[$0] ?? [] }.sorted()
      try list(
        "\(area == .memory ? "memory" : "records"): \(sentence)", runs.count, omitted: 0
      ) {
        let run = pages[runs[$0]]
        let place =
          run.gpa.map { Spelled.addresses($0, pages: run.pages) }
          ?? "offset \(Spelled.addresses(run.offset, pages: run.pages))"
        return run.pages == 1 || runs.count == 1 ? place : "\(place)  \(run.pages) pages"
      }
    }
    if kinds.count > limit {
      let pages = kinds.dropFirst(limit).reduce(0) { $0 + $1.pages }
      out.line(
        "and \(Spelled.count(pages, "page")) that differ in \(kinds.count - limit) other ways")
    }
  }

  /// A title with its lines; on one line where there is but one.
  private mutating func list(
    _ title: String, _ count: Int, omitted: UInt64, _ line: (Int) -> String
  ) throws(MigrationError) {
    if count == 1, omitted == 0 {
      out.line("\(title): \(line(0))")
      return try flush()
    }
    out.line(title)
    let limit = isLong ? count : min(count, Self.listLimit)
    for index in 0..<limit {
      out.line("  \(line(index))")
      try flush()
    }
    let left = UInt64(count - limit) + omitted
    if left > 0 { out.line("  and \(Spelled.count(left, "run")) more (--verbose lists them)") }
  }

  // MARK: What is folded

  private mutating func folded(_ cause: Cause) {
    if isLong { return }
    let all = found.differences.elements
    let listed = all.indices.filter { all[$0].cause == cause }
    var parts = Excerpt(atMost: 2 * Self.listLimit)
    // In the order of areas, each of which is one piece.
    var rest = listed[...]
    while let first = rest.first {
      let (area, name) = (all[first].area, all[first].name)
      let thing = rest.prefix { all[$0].area == area && all[$0].name == name }
      rest = rest.dropFirst(thing.count)
      parts.append { Self.folded(area.label(name), thing.lazy.compactMap { all[$0].field }) }
    }
    for count in found.pageCounts where count.kind.cause == cause {
      parts.append { "\(Spelled.count(count.pages, "page")) of \(count.kind.block)" }
    }
    guard !parts.isEmpty else { return }
    let text = "\(cause.text) [\(cause.rawValue)]: \(parts.text)"
    for line in RenderedText.wrapped(text, indent: 0, hanging: 2).split(separator: "\n") {
      out.line(String(line), as: style.dim)
    }
  }

  /// A thing with its fields, or their number.
  private static func folded(_ label: String, _ fields: some Collection<String>) -> String {
    let count = fields.count
    guard count > 0 else { return label }
    let shown = count > 3 ? Spelled.count(count, "field") : fields.joined(separator: ", ")
    return "\(label) (\(shown))"
  }

  private mutating func uncompared() {
    let reasons: [Uncompared.Reason] = [.needsInstance, .form, .unknown, .tooLarge]
    for reason in reasons {
      let parts = found.uncompared.filter { $0.reason == reason }.map(\.text)
      guard !parts.isEmpty else { continue }
      out.line("not compared: \(parts.joined(separator: ", ")): \(reason.text)")
    }
    if found.ignored > 0 { out.line("left out by --ignore: \(found.ignored)") }
  }

  // MARK: The verdict

  private mutating func verdict() {
    let all = found.differences.elements
    let follows = all.count { $0.cause != nil } + found.pageCounts.count { $0.kind.cause != nil }
    let own =
      all.count { $0.cause == nil } + Int(found.states.count)
      + found.pageCounts.count { $0.kind.cause == nil }
    guard !found.isEqual else {
      let isWhole = found.uncompared.isEmpty
      out.line(isWhole ? "equal" : "equal, as far as it was compared", as: style.good)
      return
    }
    let following =
      follows == 1
      ? "1 fact that follows or moves by itself"
      : "\(follows) facts that follow or move by themselves"
    var parts = own > 0 ? [Spelled.count(own, "difference")] : ["only in \(following)"]
    if own > 0, follows > 0 { parts.append(following) }
    if found.differences.omitted > 0 {
      parts.append("\(found.differences.omitted) more differences than are kept")
    }
    out.line("different: \(parts.joined(separator: ", "))", as: style.bad)
  }
}

/// The first texts of a list, and the number of all.
private struct Excerpt {
  private let limit: Int
  private var first: [String] = []
  private var count = 0

  init(atMost limit: Int) { self.limit = limit }

  var isEmpty: Bool { count == 0 }

  /// - Parameter text: called only where it is among the first.
  mutating func append(_ text: () -> String) {
    count += 1
    if first.count < limit { first.append(text()) }
  }

  var text: String {
    first.joined(separator: ", ") + (count > limit ? " and \(count - limit) more" : "")
  }
}
