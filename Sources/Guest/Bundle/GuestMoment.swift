/// A moment within a stream: the end of an epoch, or the place after some of its page records.
///
/// As text: `epoch:2`, or `epoch:2,pages:100`.
package struct GuestMoment: Sendable, Hashable {
  /// Number of the epoch, from 1.
  package var epoch: UInt32
  /// Number of page records of the epoch, from 1; nil for the whole epoch with its token.
  package var pageRecords: UInt64?

  package init(epoch: UInt32, pageRecords: UInt64? = nil) {
    (self.epoch, self.pageRecords) = (epoch, pageRecords)
  }

  /// Reads a moment from text; nil when the text is none.
  package init?(parsing text: String) {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count <= 2, let epoch = Self.number(parts[0], after: "epoch:"),
      let epoch = UInt32(exactly: epoch)
    else { return nil }
    self.init(epoch: epoch)
    guard parts.count == 2 else { return }
    guard let pages = Self.number(parts[1], after: "pages:") else { return nil }
    pageRecords = pages
  }

  private static func number(_ text: Substring, after prefix: String) -> UInt64? {
    guard text.hasPrefix(prefix) else { return nil }
    let digits = text.dropFirst(prefix.count)
    guard digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
      let number = UInt64(digits), number > 0
    else { return nil }
    return number
  }
}

extension GuestMoment: CustomStringConvertible {
  package var description: String {
    "epoch:\(epoch)" + (pageRecords.map { ",pages:\($0)" } ?? "")
  }
}
