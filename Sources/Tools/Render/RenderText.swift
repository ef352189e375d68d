/// Text for people, built line by line.
///
/// Everything a tool prints from its input passes through this type: names in certificates and
/// descriptions come from untrusted sources, and a terminal obeys control characters.
package struct RenderedText {
  private(set) var text = ""
  /// Size of the text in bytes of UTF-8.
  var size: Int { text.utf8.count }

  /// Returns the text so far and clears it.
  mutating func takeText() -> String {
    defer { text = "" }
    return text
  }

  /// Appends one line, with control characters escaped.
  mutating func line(_ content: String = "") {
    let shown = RenderedText.printable(content)
    text += shown.prefix(shown.count - shown.reversed().prefix { $0 == " " }.count)
    text += "\n"
  }

  /// Appends one line in a style, which adds control characters of the tool's own.
  mutating func line(_ content: String, as style: (String) -> String) {
    text += style(RenderedText.printable(content))
    text += "\n"
  }

  /// Appends a line with a label in a column of fixed width.
  mutating func field(_ label: String, _ content: String, width: Int = 18, indent: Int = 0) {
    let label = String(repeating: " ", count: indent) + label
    line(label.padded(to: width) + (label.count < width ? "" : " ") + content)
  }

  /// Appends a line with a label like `field`, continued in the content's column where it is long.
  mutating func wrappedField(
    _ label: String, _ content: String, width: Int = 18, indent: Int = 0
  ) {
    let lines = RenderedText.wrapped(content, indent: width).split(separator: "\n")
    for (index, text) in lines.enumerated() {
      field(index == 0 ? label : "", String(text.dropFirst(width)), width: width, indent: indent)
    }
  }

  /// Appends rows of cells, each column as wide as its widest cell.
  mutating func table(_ rows: [[String]], indent: Int = 2) {
    var columns = Columns()
    for row in rows { columns.fit(row) }
    for row in rows { self.row(row, in: columns, indent: indent) }
  }

  /// Appends one row of cells.
  mutating func row(_ cells: [String], in columns: Columns, indent: Int = 2) {
    var content = String(repeating: " ", count: indent)
    for (index, cell) in cells.enumerated() {
      content += index == cells.count - 1 ? cell : cell.padded(to: columns.widths[index] + 2)
    }
    line(content)
  }

  /// The columns of a table.
  struct Columns {
    fileprivate var widths: [Int] = []

    /// Makes each column as wide as its cell in a row.
    mutating func fit(_ row: [String]) {
      for (index, cell) in row.enumerated() {
        if index == widths.count { widths.append(0) }
        widths[index] = max(widths[index], cell.count)
      }
    }
  }

  /// `text` with each character that is not safely printable as `\u{…}`: control characters, and
  /// characters that change the direction of the text around them.
  package static func printable(_ text: String) -> String {
    func isPlain(_ scalar: Unicode.Scalar) -> Bool {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
        .unassigned:
        false
      default: true
      }
    }
    if text.unicodeScalars.allSatisfy(isPlain) { return text }
    var shown = ""
    for scalar in text.unicodeScalars {
      if isPlain(scalar) {
        shown.unicodeScalars.append(scalar)
      } else {
        shown += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
    return shown
  }
}

extension String {
  /// The text followed by spaces, at least `width` characters long.
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: Swift.max(0, width - count))
  }
}
