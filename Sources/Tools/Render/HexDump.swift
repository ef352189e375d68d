internal import Wire

/// Bytes in the format of `hexdump -C`, with repeated lines left out.
package enum HexDump {
  /// - Parameters:
  ///   - bytes: the bytes to show.
  ///   - base: address of the first byte.
  package static func lines(_ bytes: [UInt8], at base: UInt64) -> [String] {
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
    return Hex.number(address, digits: 12).dropFirst(2) + "  "
      + halves.joined(separator: "  ").padded(to: 50) + "|" + String(text) + "|"
  }
}
