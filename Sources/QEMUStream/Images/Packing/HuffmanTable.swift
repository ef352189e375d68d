internal import Errors

/// A prefix code whose codes follow from their lengths, as bzip2 has it.
struct HuffmanTable {
  /// Bits of a code at most.
  static let lengthLimit = 20

  /// Symbols in the order of their codes.
  private var symbols: [UInt16] = []
  /// By length: the first code that is longer, and what is added to a code for its place in `symbols`.
  private var limits: [Int] = []
  private var bases: [Int] = []

  /// - Parameter lengths: bits of the code of each symbol, 1 to `lengthLimit`.
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

  /// - Returns: nil where no code is.
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
