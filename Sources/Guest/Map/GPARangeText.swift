package import Errors
internal import Wire

// Ranges as people write them: `--private 0x0-0x9ffff,0x100000+2M`.
//
//     set    = "all" / "none" / range *("," range)
//     range  = number "-" number      first and last address, as in /proc/iomem
//            / number "+" number      first address and length
//     number = decimal or 0x hexadecimal digits, then K, M, G or T at will (powers of 1024)
extension GPARangeSet: CustomStringConvertible {
  /// Reads a set from text.
  /// - Parameter text: as in the grammar above. Ranges may overlap and come in any order.
  /// - Throws: `GUEST-SHAPE` when the text is not a set or a range does not consist of whole 4 KiB
  ///   pages.
  package init(parsing text: some StringProtocol) throws(MigrationError) {
    if text == "none" {
      self.init()
      return
    }
    if text == "all" {
      self = .all
      return
    }
    var ranges: [GPARange] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      ranges.append(try GPARange(parsing: part))
    }
    self.init(ranges)
  }

  /// The set as text: "none", "all", or ranges with both ends included. Equal sets give equal
  /// texts.
  package var description: String {
    if isEmpty { return "none" }
    if self == .all { return "all" }
    return ranges.map(\.description).joined(separator: ",")
  }
}

extension GPARange: CustomStringConvertible {
  /// Reads a range from text.
  /// - Parameter text: `FIRST-LAST` or `FIRST+LENGTH`.
  /// - Throws: `GUEST-SHAPE`.
  package init(parsing text: some StringProtocol) throws(MigrationError) {
    guard let mark = text.firstIndex(where: { $0 == "-" || $0 == "+" }),
      let first = byteCount(text[..<mark]), let second = byteCount(text[text.index(after: mark)...])
    else {
      throw MigrationError(
        .guestShape, "not an address range", expected: "FIRST-LAST or FIRST+LENGTH",
        got: "\"\(printable(text))\"")
    }
    let (end, overflow) =
      text[mark] == "-"
      ? second.addingReportingOverflow(1) : first.addingReportingOverflow(second)
    guard !overflow else {
      throw MigrationError(
        .guestShape, "address range is beyond the limit", expected: "below 2^52",
        got: "\"\(printable(text))\"")
    }
    try self.init(start: first, end: end)
  }

  /// First and last address: "0x0-0x9ffff".
  package var description: String { "\(Hex.number(start))-\(Hex.number(end - 1))" }
}

/// A number of bytes from text: decimal or 0x hexadecimal digits, optionally followed by K, M, G or
/// T in either case (powers of 1024). Nil when the text is not such a number or does not fit 64
/// bits.
package func byteCount(_ text: some StringProtocol) -> UInt64? {
  let units: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40]
  var digits = text[...]
  var shift: UInt64 = 0
  if let unit = text.last.flatMap({ units[Character($0.uppercased())] }) {
    shift = unit
    digits = text.dropLast()
  }
  let isHex = digits.hasPrefix("0x") || digits.hasPrefix("0X")
  if isHex { digits = digits.dropFirst(2) }
  // The standard library's parser would accept a sign.
  guard let start = digits.utf8.first, start != UInt8(ascii: "+"), start != UInt8(ascii: "-"),
    let value = UInt64(digits, radix: isHex ? 16 : 10)
  else { return nil }
  let shifted = value << shift
  return shifted >> shift == value ? shifted : nil
}
