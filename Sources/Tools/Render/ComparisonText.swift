internal import Comparison
internal import Inspection
internal import JSON
internal import Wire

/// A comparison as text: what differs, then in one line for each cause what follows from it or moves by itself,
/// what could not be compared, and the verdict.
struct ComparisonText {
  /// Most fields of one thing, and runs of pages of one kind, that are listed without `--verbose`.
  private static let listLimit = 8
  /// Most things of one area that are listed without `--verbose`.
  private static let areaLimit = 16

  private let found: Comparison
  private let isLong: Bool
  private let style: Style
  private var out = RenderedText()
  private let runs: [PageKind: [PageDifference]]

  private init(_ found: Comparison, isLong: Bool, style: Style) {
    (self.found, self.isLong, self.style) = (found, isLong, style)
    runs = Dictionary(grouping: found.pages.elements, by: \.kind)
  }

  /// - Parameter isLong: whether everything is listed.
  static func render(_ found: Comparison, isLong: Bool, style: Style) -> String {
    var text = ComparisonText(found, isLong: isLong, style: style)
    text.sides()
    for area in Area.allCases {
      switch area {
      case .pageStates: text.states()
      case .memory, .record: text.memory(area)
      default: text.facts(area)
      }
    }
    for cause in Cause.allCases { text.folded(cause) }
    text.uncompared()
    text.verdict()
    return text.out.takeText()
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
  private mutating func facts(_ area: Area) {
    let listed = found.differences.elements.filter {
      $0.area == area && (isLong || $0.cause == nil)
    }
    var things: [(name: String, fields: [Difference])] = []
    for difference in listed {
      if things.last?.name == difference.name {
        things[things.count - 1].fields.append(difference)
      } else {
        things.append((difference.name, [difference]))
      }
    }
    let limit = isLong ? things.count : Self.areaLimit
    for thing in things.prefix(limit) {
      show(area.label(thing.name), thing.fields)
    }
    if things.count > limit {
      let more = things.dropFirst(limit).map { area.label($0.name) }
      out.line("and \(Spelled.list(more, atMost: Self.listLimit))")
    }
  }

  private mutating func show(_ label: String, _ fields: [Difference]) {
    if fields.count == 1 {
      out.line("\(label): \(fields[0].text)")
      return
    }
    out.line("\(label): \(fields.count) differences")
    let limit = isLong ? fields.count : Self.listLimit
    for field in fields.prefix(limit) { out.line("  \(field.text)") }
    if fields.count > limit {
      out.line("  and \(fields.count - limit) more (--verbose lists them)")
    }
  }

  // MARK: Memory

  private mutating func states() {
    let runs = found.states.elements
    guard !runs.isEmpty else { return }
    let pages = runs.reduce(0) { $0 + $1.pages }
    let lines = runs.map { run in
      "\(Spelled.addresses(run.gpa, pages: run.pages))  \(PageStateFacts.change(run.before, run.after))"
    }
    list("page states: \(Spelled.count(pages, "page"))", lines, omitted: found.states.omitted)
  }

  private mutating func memory(_ area: Area) {
    let counts = found.pageCounts.filter {
      $0.kind.area == area && (isLong || $0.kind.cause == nil)
    }
    let limit = isLong ? counts.count : Self.areaLimit
    for count in counts.prefix(limit) {
      let title =
        "\(area == .memory ? "memory" : "records"): \(count.kind.change.sentence(count))"
      let runs = runs[count.kind] ?? []
      let lines = runs.map { run -> String in
        let place =
          run.gpa.map { Spelled.addresses($0, pages: run.pages) }
          ?? "offset \(Spelled.addresses(run.offset, pages: run.pages))"
        return run.pages == 1 || runs.count == 1 ? place : "\(place)  \(run.pages) pages"
      }
      list(title, lines, omitted: 0)
    }
    if counts.count > limit {
      let pages = counts.dropFirst(limit).reduce(0) { $0 + $1.pages }
      out.line(
        "and \(Spelled.count(pages, "page")) that differ in \(counts.count - limit) other ways")
    }
  }

  /// A title with its lines; on one line where there is but one.
  private mutating func list(_ title: String, _ lines: [String], omitted: UInt64) {
    if lines.count == 1, omitted == 0 {
      out.line("\(title): \(lines[0])")
      return
    }
    out.line(title)
    let limit = isLong ? lines.count : Self.listLimit
    for line in lines.prefix(limit) { out.line("  \(line)") }
    let left = UInt64(lines.count - min(lines.count, limit)) + omitted
    if left > 0 { out.line("  and \(Spelled.count(left, "run")) more (--verbose lists them)") }
  }

  // MARK: What is folded

  private mutating func folded(_ cause: Cause) {
    if isLong { return }
    var parts: [String] = []
    for area in Area.allCases {
      var names: [(label: String, fields: [String])] = []
      for difference in found.differences.elements
      where difference.area == area && difference.cause == cause {
        let label = area.label(difference.name)
        if names.last?.label != label { names.append((label, [])) }
        if let field = difference.field { names[names.count - 1].fields.append(field) }
      }
      parts += names.map { name in
        let fields =
          name.fields.count > 3
          ? Spelled.count(name.fields.count, "field") : name.fields.joined(separator: ", ")
        return fields.isEmpty ? name.label : "\(name.label) (\(fields))"
      }
    }
    for count in found.pageCounts where count.kind.cause == cause {
      parts.append("\(Spelled.count(count.pages, "page")) of \(count.kind.block)")
    }
    guard !parts.isEmpty else { return }
    let text =
      "\(cause.text) [\(cause.rawValue)]: \(Spelled.list(parts, atMost: 2 * Self.listLimit))"
    for line in RenderedText.wrapped(text, indent: 0, hanging: 2).split(separator: "\n") {
      out.line(String(line), as: style.dim)
    }
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
    var parts = own > 0 ? [Spelled.count(own, "difference")] : ["nothing differs by itself"]
    if follows > 0 {
      parts.append(
        follows == 1
          ? "1 fact that follows or moves by itself"
          : "\(follows) facts that follow or move by themselves")
    }
    if found.differences.omitted > 0 {
      parts.append("\(found.differences.omitted) more differences than are kept")
    }
    out.line("different: \(parts.joined(separator: ", "))", as: style.bad)
  }
}
