internal import FileIO

/// A line on the terminal that shows the progress of a tool: amount, rate and time left.
///
/// The line is overwritten in place about five times a second. Nothing is written to a pipe, or
/// with `--quiet`.
package final class Progress {
  /// The unit in which progress is counted.
  package enum Unit: Sendable {
    /// Bytes, spelled as sizes.
    case bytes
    /// Things of this name, a plural noun.
    case each(String)

    /// An amount in words: "412.0 MiB", "183 attacks".
    fileprivate func text(_ amount: UInt64) -> String {
      switch self {
      case .bytes: Spelled.size(amount)
      case .each(let name): "\(amount) \(name)"
      }
    }
  }

  private static let interval = Duration.milliseconds(200)

  private let verb: String
  private let total: UInt64?
  private let unit: Unit
  private let isShown: Bool
  private let start = ContinuousClock.now
  private var next: ContinuousClock.Instant
  private var width = 0

  init(_ verb: String, total: UInt64?, unit: Unit, isShown: Bool) {
    self.verb = verb
    self.total = total
    self.unit = unit
    self.isShown = isShown
    // A tool that ends before the first interval shows no line.
    next = start + Progress.interval
  }

  /// Shows that the amount `done` is done.
  /// - Parameter known: the total, where it was not known at the start.
  package func update(_ done: UInt64, of known: UInt64? = nil) {
    update {
      Progress.line(
        verb, done: done, total: known ?? total, unit,
        after: start.duration(to: ContinuousClock.now))
    }
  }

  /// Shows a line of the caller's own, which is made only when it is due.
  package func update(_ line: () -> String) {
    guard isShown else { return }
    let now = ContinuousClock.now
    guard now >= next else { return }
    next = now + Progress.interval
    show(line())
  }

  /// Removes the line.
  func end() {
    if width > 0 { show("") }
    width = 0
  }

  private func show(_ line: String) {
    let padding = String(repeating: " ", count: max(0, width - line.count))
    StandardStream.error.say("\r\(line)\(padding)" + (line.isEmpty ? "\r" : ""))
    width = line.count
  }

  /// The text of the line: `saving  412.0 MiB of 2.0 GiB  20 %  310.5 MiB/s  5 s left`,
  /// `attacking  183 of 359 attacks  50 %  35 attacks/s  5 s left`.
  static func line(
    _ verb: String, done: UInt64, total: UInt64?, _ unit: Unit, after time: Duration
  ) -> String {
    let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
    let rate = seconds > 0 ? min(Double(done) / seconds, 1e18) : 0
    var parts = ["\(verb)  \(unit.text(done))"]
    if let total, total > 0 {
      if case .each = unit { parts[0] = "\(verb)  \(done)" }
      parts[0] += " of \(unit.text(total))"
      parts.append("\(Int(100 * min(1, Double(done) / Double(total)))) %")
    }
    parts.append("\(unit.text(UInt64(rate)))/s")
    if let total, total > done, rate > 0 {
      parts.append("\(durationText(Double(total - done) / rate)) left")
    }
    return parts.joined(separator: "  ")
  }
}

/// A duration for people: "5 s", "2 min 05 s", "3 h 20 min".
func durationText(_ seconds: Double) -> String {
  let whole = UInt64(min(max(seconds, 0), 1e9).rounded(.up))
  func two(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
  if whole < 60 { return "\(whole) s" }
  if whole < 3600 { return "\(whole / 60) min \(two(whole % 60)) s" }
  return "\(whole / 3600) h \(two(whole / 60 % 60)) min"
}
