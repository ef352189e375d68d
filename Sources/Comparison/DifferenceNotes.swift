package import Inspection
internal import JSON

/// Differences in facts, as they are found: those that no rule leaves out, as many as are kept.
package final class DifferenceNotes {
  /// Most bytes of names and values that are kept.
  private static let textLimit = 8 << 20

  /// In the order in which they were noted.
  package private(set) var differences = BoundedList<Difference>()
  /// Differences that a rule left out; runs of pages count once.
  package private(set) var ignored = 0
  /// Names of the vCPUs of which registers differ.
  private(set) var changedVCPUs: Set<String> = []
  private let rules: [IgnoreRule]
  private var room = textLimit
  /// The name of the difference noted last, whose text the next one most often shares.
  private var name = ""

  package init(_ rules: [IgnoreRule]) { self.rules = rules }

  /// Whether a rule leaves out what has this path or cause; that is counted then.
  func leavesOut(_ path: String, _ cause: Cause?) -> Bool {
    guard rules.contains(where: { $0.covers(path, cause) }) else { return false }
    ignored += 1
    return true
  }

  package func note(_ difference: Difference) {
    if difference.area == .vcpu { changedVCPUs.insert(difference.name) }
    guard !leavesOut(difference.path, difference.cause) else { return }
    let size = difference.textSize + (difference.name == name ? 0 : difference.name.utf8.count)
    // Those that are kept are the first ones: behind one that has no room none is kept.
    guard differences.omitted == 0, size <= room else { return differences.omit() }
    (room, name) = (room - size, difference.name)
    differences.append(difference)
  }
}

extension Difference {
  /// Bytes of its texts, apart from the name.
  fileprivate var textSize: Int {
    let values =
      switch change {
      case .added, .removed: 0
      case .changed(let before, let after), .elements(_, _, let before, let after):
        before.textSize + after.textSize
      case .bytes(_, _, let before, let after, _): before.utf8.count + after.utf8.count
      }
    return values + (field?.utf8.count ?? 0)
  }
}

extension JSON {
  /// Bytes of the texts in a value that a difference keeps.
  fileprivate var textSize: Int {
    string?.utf8.count ?? array?.reduce(0) { $0 + $1.textSize } ?? 0
  }
}
