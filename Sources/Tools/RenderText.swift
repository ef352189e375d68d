internal import Bytes
internal import QEMUStream
internal import SEVSNP

/// Text for people, line by line.
///
/// Everything a tool prints of its input goes through here: names in certificates and descriptions
/// are a stranger's, and a terminal obeys control characters.
struct RenderedText {
  private(set) var text = ""

  /// Appends one line, control characters made visible.
  mutating func line(_ content: String = "") {
    let shown = RenderedText.printable(content)
    text += shown.prefix(shown.count - shown.reversed().prefix { $0 == " " }.count)
    text += "\n"
  }

  /// Appends one line in a style of our own.
  mutating func line(_ content: String, as style: (String) -> String) {
    text += style(RenderedText.printable(content))
    text += "\n"
  }

  /// Appends a line with a label in a column of its own.
  mutating func field(_ label: String, _ content: String, width: Int = 18, indent: Int = 0) {
    let label = String(repeating: " ", count: indent) + label
    line(label.padded(to: width) + (label.count < width ? "" : " ") + content)
  }

  /// Appends rows under a title, each column as wide as its widest cell.
  mutating func table(_ rows: [[String]], indent: Int = 2) {
    var widths: [Int] = []
    for row in rows {
      for (index, cell) in row.enumerated() {
        if index == widths.count { widths.append(0) }
        widths[index] = max(widths[index], cell.count)
      }
    }
    for row in rows {
      var content = String(repeating: " ", count: indent)
      for (index, cell) in row.enumerated() {
        content += index == row.count - 1 ? cell : cell.padded(to: widths[index] + 2)
      }
      line(content)
    }
  }

  /// `text` with everything that is not plainly printable as `\u{…}`: control characters, and
  /// those that change the direction of what stands around them.
  static func printable(_ text: String) -> String {
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

/// How values are spelled in text and JSON.
enum Spelled {
  /// `0x` and digits without leading zeros: addresses and bit fields.
  static func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }

  /// `0x` and as many digits as `bytes` bytes have.
  static func hex(_ value: UInt64, bytes: Int) -> String {
    let digits = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: Swift.max(0, 2 * bytes - digits.count)) + digits
  }

  /// A number of bytes: "1 MiB" when it is whole, else "1.2 MiB", with the exact number where
  /// that says less.
  static func bytes(_ count: UInt64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
    guard count >= 1024 else { return count == 1 ? "1 byte" : "\(count) bytes" }
    var unit = 0
    var scale: UInt64 = 1024
    while unit + 1 < units.count, count / scale >= 1024 {
      unit += 1
      scale *= 1024
    }
    if count % scale == 0 { return "\(count / scale) \(units[unit])" }
    let tenths = count / scale * 10 + count % scale * 10 / scale
    return "\(tenths / 10).\(tenths % 10) \(units[unit]) (\(count) bytes)"
  }

  /// "1 page", "2 pages".
  static func count(_ number: some BinaryInteger, _ noun: String) -> String {
    number == 1 ? "1 \(noun)" : "\(number) \(noun)s"
  }

  /// The first bytes of a digest or identifier.
  static func short(_ bytes: some Collection<UInt8>, _ count: Int = 8) -> String {
    Hex.encode(bytes.prefix(count)) + (bytes.count > count ? "…" : "")
  }

  /// An address range, last address included.
  static func range(_ start: UInt64, pages: UInt64) -> String {
    let last = start &+ pages &* 4096 &- 1
    return "\(hex(start, bytes: 8))-\(hex(last, bytes: 8))"
  }

  /// Access of the four VMPLs: r read, w write, u execute in user mode, s in supervisor mode,
  /// t supervisor shadow stack.
  static func permissions(_ permissions: VMPLPermissions) -> String {
    (0..<4).map { level in
      let bits = permissions.rawValue >> UInt32(24 - 8 * level) & 0xFF
      if bits == 0 { return "-" }
      return String(
        zip("rwust", 0..<5).compactMap { letter, bit in bits >> bit & 1 == 1 ? letter : nil })
    }.joined(separator: "/")
  }

  /// A name from a stream or guest, as QEMU's names are shown.
  static func name(_ text: String) -> String { SectionName(text)?.description ?? "" }

  static func list(_ names: [String]) -> String {
    names.isEmpty ? "none" : names.joined(separator: ", ")
  }
}

extension JSON {
  /// A 64-bit address or bit field: hex text, since readers in other languages lose bits.
  static func hex(_ value: some BinaryInteger) -> JSON { .string(Spelled.hex(value)) }

  /// Bytes as hex digits.
  static func hex(bytes: some Sequence<UInt8>) -> JSON { .string(Hex.encode(bytes)) }

  static func text(_ names: [String]) -> JSON { .array(names.map { .string($0) }) }
}

/// Bytes as `hexdump -C` shows them, equal lines left out.
struct HexDump {
  /// - Parameters:
  ///   - bytes: what is shown.
  ///   - base: address of the first byte.
  static func lines(_ bytes: [UInt8], at base: UInt64) -> [String] {
    var lines: [String] = []
    var last: ArraySlice<UInt8>?
    var isLeftOut = false
    for start in stride(from: 0, to: bytes.count, by: 16) {
      let row = bytes[start..<min(start + 16, bytes.count)]
      if let last, row.elementsEqual(last), start + 16 < bytes.count {
        if !isLeftOut { lines.append("*") }
        isLeftOut = true
        continue
      }
      isLeftOut = false
      last = row
      lines.append(line(row, at: base &+ UInt64(start)))
    }
    return lines
  }

  private static func line(_ row: ArraySlice<UInt8>, at address: UInt64) -> String {
    let digits = row.map { Hex.encode(CollectionOfOne($0)) }
    let halves = [digits.prefix(8), digits.dropFirst(8)].map { $0.joined(separator: " ") }
    let text = row.map { byte in
      0x20...0x7E ~= byte ? Character(Unicode.Scalar(byte)) : "."
    }
    return Spelled.hex(address, bytes: 6).dropFirst(2) + "  "
      + halves.joined(separator: "  ").padded(to: 50) + "|" + String(text) + "|"
  }
}
