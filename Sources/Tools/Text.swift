/// `value` as addresses are printed: 0x and lower-case digits.
func hex(_ value: UInt64) -> String { "0x\(String(value, radix: 16))" }

/// A count and its noun: "1 page", "2 pages".
func counted(_ count: UInt64, _ noun: String) -> String {
  "\(count) \(noun)\(count == 1 ? "" : "s")"
}

/// Foreign text for one line of output: control characters replaced.
func printable(_ text: some StringProtocol) -> String {
  var shown = ""
  for scalar in text.unicodeScalars {
    let isControl = scalar.value < 0x20 || 0x7F...0x9F ~= scalar.value
    shown.unicodeScalars.append(isControl ? "?" : scalar)
  }
  return shown
}

extension String {
  /// The text with spaces behind it, `width` characters at least.
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: Swift.max(0, width - count))
  }
}
