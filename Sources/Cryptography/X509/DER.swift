/// The few parts of DER that keys and signatures need. libcrypto reads certificates.
enum DER {
  /// A SEQUENCE of `content`, which has fewer than 65536 bytes.
  static func sequence(_ content: [UInt8]) -> [UInt8] { [0x30] + length(content.count) + content }

  /// An INTEGER with the unsigned big-endian number in `bytes`.
  static func integer(_ bytes: [UInt8]) -> [UInt8] {
    var digits = Array(bytes.drop { $0 == 0 })
    if digits.first.map({ $0 >= 0x80 }) ?? true { digits.insert(0, at: 0) }
    return [0x02] + length(digits.count) + digits
  }

  /// SubjectPublicKeyInfo of an uncompressed point (RFC 5480).
  static func subjectPublicKeyInfo(_ point: [UInt8], on curve: PrimeCurve) -> [UInt8] {
    let ecPublicKey: [UInt8] = [0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]
    let name: [UInt8] =
      switch curve {
      case .p256: [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
      case .p384: [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22]
      case .p521: [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23]
      }
    return sequence(sequence(ecPublicKey + name) + [0x03] + length(point.count + 1) + [0] + point)
  }

  /// Reads a SEQUENCE of two unsigned INTEGERs, which must be in the unique DER form.
  /// - Returns: nil for anything else; the numbers without leading zeros otherwise.
  static func twoIntegers(_ bytes: [UInt8]) -> ([UInt8], [UInt8])? {
    var rest = bytes[...]
    guard rest.popFirst() == 0x30, readLength(&rest) == rest.count else { return nil }
    guard let first = readInteger(&rest), let second = readInteger(&rest), rest.isEmpty else {
      return nil
    }
    return (first, second)
  }

  private static func readInteger(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
    guard rest.popFirst() == 0x02, let count = readLength(&rest), count > 0, count <= rest.count
    else { return nil }
    let digits = rest.prefix(count)
    rest = rest.dropFirst(count)
    guard let top = digits.first, top < 0x80 else { return nil }
    if top == 0, count > 1 {
      // A leading zero is allowed only before a byte whose top bit is set.
      guard digits[digits.startIndex + 1] >= 0x80 else { return nil }
    }
    return Array(digits.drop { $0 == 0 })
  }

  private static func readLength(_ rest: inout ArraySlice<UInt8>) -> Int? {
    guard let first = rest.popFirst() else { return nil }
    if first < 0x80 { return Int(first) }
    guard first == 0x81, let count = rest.popFirst(), count >= 0x80 else { return nil }
    return Int(count)
  }

  private static func length(_ count: Int) -> [UInt8] {
    switch count {
    case ..<0x80: [UInt8(count)]
    case ..<0x100: [0x81, UInt8(count)]
    default: [0x82, UInt8(count >> 8), UInt8(count & 0xFF)]
    }
  }
}
