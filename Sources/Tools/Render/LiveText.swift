internal import Migration
internal import Wire

/// What a live migration shows of itself.
enum LiveText {
  /// The line while it runs: `epoch 3  51200 pages  1022 again  118.0 MiB/s  40.0 MiB left  339 ms downtime`.
  /// - Parameters:
  ///   - rounds: the rounds so far.
  ///   - memory: bytes of the guest's memory.
  static func line(_ rounds: LiveRounds, memory: UInt64, after time: Duration) -> String {
    let total = rounds.total
    let (sent, again) = (total.pages, total.again)
    let rate = Double(sent * Page.size64) / max(seconds(time), 0.001)
    var parts = ["epoch \(rounds.count)", "\(sent) pages", "\(again) again"]
    parts.append("\(Spelled.size(UInt64(rate)))/s")
    // A round after the first is about as long as what changed while the one before it was sent.
    let due = rounds.last?.pages ?? memory / Page.size64
    let now = rounds.open.pages
    let left = (due > now ? due - now : 0) * Page.size64
    parts.append("\(Spelled.size(left)) left")
    if rate > 0 { parts.append("\(Int(1000 * Double(left) / rate)) ms downtime") }
    return parts.joined(separator: "  ")
  }

  /// The epochs as lines of a table: the first ones, how many are left out, and the last.
  static func table(_ rounds: LiveRounds) -> [String] {
    var rows = [["epoch", "private", "shared", "zero", "again", "bytes"]]
    for (index, round) in rounds.closed.enumerated() { rows.append(row("\(index + 1)", round)) }
    if rounds.omitted > 0 { rows.append(["\(rounds.omitted) more", "", "", "", "", ""]) }
    rows.append(row("\(rounds.count)", rounds.open))
    let widths = rows[0].indices.map { column in rows.map(\.[column].count).max() ?? 0 }
    return rows.map { row in
      zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }
        .joined(separator: "  ")
    }
  }

  private static func row(_ epoch: String, _ round: LiveRound) -> [String] {
    [round.privatePages, round.sharedPages, round.zeroPages, round.again]
      .reduce(into: [epoch]) { $0.append("\($1)") } + [Spelled.size(round.bytes)]
  }

  static func milliseconds(_ time: Duration) -> Int { Int((1000 * seconds(time)).rounded(.up)) }

  private static func seconds(_ time: Duration) -> Double {
    Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
  }
}
