internal import Errors

/// A canonical prefix code, as bzip2 uses it: the codes follow from their lengths.
struct HuffmanTable {
  /// Largest length of a code in bits.
  static let lengthLimit = 20

  /// Symbols in the order of their codes.
  private var symbols: [UInt16] = []
  /// For each length: the first longer code, and the number to add to a code to get its index in
  /// `symbols`.
  private var limits: [Int] = []
  private var bases: [Int] = []

  /// - Parameter lengths: length in bits of the code of each symbol, 1 to `lengthLimit`.
  init(_ lengths: [UInt8]) {
    var code = 0
    for length in 0...Self.lengthLimit {
      let first = symbols.count
      for (symbol, bits) in lengths.enumerated() where Int(bits) == length {
        symbols.append(UInt16(symbol))
      }
      bases.append(first - code)
      code += symbols.count - first
      limits.append(code)
      code <<= 1
    }
  }

  /// - Returns: nil when the bits are not a code.
  /// - Throws: `STREAM-TRUNCATED`.
  func next(_ bits: inout BitReader) throws(MigrationError) -> Int? {
    var code = 0
    for length in 1...Self.lengthLimit {
      code = code << 1 | (try bits.read(1))
      guard code < limits[length] else { continue }
      let place = code + bases[length]
      return symbols.indices.contains(place) ? Int(symbols[place]) : nil
    }
    return nil
  }
}
