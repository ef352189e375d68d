internal import QEMUStream
internal import SEVSNP
internal import Wire

/// The spelling of values in text and JSON.
package enum Spelled {
  /// A number of bytes in short form, followed by the exact number when the short form is rounded.
  package static func bytes(_ count: UInt64) -> String {
    let (text, isExact) = shortened(count)
    return isExact ? text : "\(text) (\(count) bytes)"
  }

  /// A number of bytes in at most five digits: "312 bytes", "1 MiB", "1.2 MiB".
  static func size(_ count: UInt64) -> String { shortened(count).text }

  private static func shortened(_ count: UInt64) -> (text: String, isExact: Bool) {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
    guard count >= 1024 else { return (count == 1 ? "1 byte" : "\(count) bytes", true) }
    var unit = 0
    var scale: UInt64 = 1024
    while unit + 1 < units.count, count / scale >= 1024 {
      unit += 1
      scale *= 1024
    }
    if count % scale == 0 { return ("\(count / scale) \(units[unit])", true) }
    let tenths = count / scale * 10 + count % scale * 10 / scale
    return ("\(tenths / 10).\(tenths % 10) \(units[unit])", false)
  }

  /// "1 page", "2 pages".
  static func count(_ number: some BinaryInteger, _ noun: String) -> String {
    number == 1 ? "1 \(noun)" : "\(number) \(noun)s"
  }

  /// The first bytes of a digest or identifier, in hex.
  static func short(_ bytes: some Collection<UInt8>, _ count: Int = 8) -> String {
    Hex.encode(bytes.prefix(count)) + (bytes.count > count ? "…" : "")
  }

  /// A range of addresses, with its last address included.
  /// - Parameter size: size of a page in bytes.
  static func range(_ start: UInt64, pages: UInt64, of size: UInt64 = Page.size64) -> String {
    let last = start &+ pages &* size &- 1
    return "\(Hex.number(start, digits: 16))-\(Hex.number(last, digits: 16))"
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

  /// A name from a stream or guest, escaped like QEMU's names.
  static func name(_ text: String) -> String { SectionName(text)?.description ?? "" }

  static func list(_ names: [String], atMost limit: Int = .max) -> String {
    let left = names.count - min(names.count, limit)
    let shown = names.prefix(limit).joined(separator: ", ")
    return names.isEmpty ? "none" : shown + (left > 0 ? " and \(left) more" : "")
  }
}
