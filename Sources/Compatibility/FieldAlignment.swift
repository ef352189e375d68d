/// Which fields of two layouts are the same, by their names, in order; between them runs that are not.
///
/// Names are not on the wire: a field that has only another name is in a run, on both sides. Of a field
/// that has changed its place only one of the two places is found. Takes time linear in the fields.
struct FieldAlignment {
  enum Step {
    /// Places of the same field on both sides.
    case pair(saved: Int, target: Int)
    /// Fields that follow each other, on one side or both, and have no partner by name.
    case run(saved: Range<Int>, target: Range<Int>)
  }

  let steps: [Step]
  /// Names of all fields of the source, and of the target.
  private let saved: Set<[UInt8]>
  private let target: [[UInt8]: Int]

  init(_ saved: [StateLayout.Field], _ target: [StateLayout.Field]) {
    var places: [[UInt8]: Int] = [:]
    // Names are told apart: an edited file that repeats one has only the first.
    for (index, field) in target.enumerated().reversed() where !field.isUnused {
      places[Array(field.name.utf8)] = index
    }
    var steps: [Step] = []
    var next = (saved: 0, target: 0)
    for (index, field) in saved.enumerated() where !field.isUnused {
      guard let place = places[Array(field.name.utf8)], place >= next.target else { continue }
      if next.saved < index || next.target < place {
        steps.append(.run(saved: next.saved..<index, target: next.target..<place))
      }
      steps.append(.pair(saved: index, target: place))
      next = (index + 1, place + 1)
    }
    if next.saved < saved.count || next.target < target.count {
      steps.append(
        .run(saved: next.saved..<saved.count, target: next.target..<target.count))
    }
    self.steps = steps
    self.saved = Set(saved.map { Array($0.name.utf8) })
    self.target = places
  }

  func isSaved(_ field: StateLayout.Field) -> Bool { saved.contains(Array(field.name.utf8)) }

  func isKnown(_ field: StateLayout.Field) -> Bool { target[Array(field.name.utf8)] != nil }
}
