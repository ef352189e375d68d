/// Shortens text from an input and escapes its control characters, for use in a message.
package func printable(_ text: some StringProtocol) -> String {
  var shown = ""
  for scalar in text.unicodeScalars.prefix(60) {
    shown.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? "?" : scalar)
  }
  return shown
}
