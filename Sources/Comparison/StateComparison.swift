package import SEVSNP

extension PageStateMap {
  /// The ranges whose facts differ from those in `later`, in ascending order.
  package func differences(to later: PageStateMap) -> [StateDifference] {
    let borders = Set(
      runs.flatMap { [$0.gpa, $0.end] } + later.runs.flatMap { [$0.gpa, $0.end] }
    ).sorted()
    var found: [StateDifference] = []
    for (start, end) in zip(borders, borders.dropFirst()) {
      let before = run(at: start).map { PageStateFacts($0) }
      let after = later.run(at: start).map { PageStateFacts($0) }
      guard before != after else { continue }
      let next = StateDifference(
        gpa: start, pages: (end - start) / RMPPageSize.size4K.bytes, before: before, after: after)
      if let last = found.last, last.before == before, last.after == after,
        last.gpa + last.pages * RMPPageSize.size4K.bytes == start
      {
        found[found.count - 1].pages += next.pages
      } else {
        found.append(next)
      }
    }
    return found
  }
}
