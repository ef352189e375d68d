internal import Bytes

/// The ASN.1 form of certificates and other tools (RFC 3279 section 2.2.3):
///
///     Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }
extension ECDSASignature {
  /// The DER encoding of the signature.
  public var der: [UInt8] {
    let content = Self.integer(r) + Self.integer(s)
    let length = UInt8(truncatingIfNeeded: content.count)
    // No curve here has a signature of 256 bytes or more.
    return (content.count < 0x80 ? [0x30, length] : [0x30, 0x81, length]) + content
  }

  /// Strict: no BER forms, no superfluous zeros, no negative number, nothing behind the sequence.
  ///
  /// - Parameter der: the encoding. Nil when it is not one; the caller names the field it refuses.
  public init?(der: [UInt8]) {
    guard let halves = try? Self.halves(der.span) else { return nil }
    self.init(r: halves.r, s: halves.s)
  }

  private static func integer(_ magnitude: [UInt8]) -> [UInt8] {
    var digits = Array(magnitude.drop { $0 == 0 })
    // A first bit would be read as a sign; zero is one zero byte.
    if digits.first.map({ $0 >= 0x80 }) ?? true { digits.insert(0, at: 0) }
    return [0x02, UInt8(truncatingIfNeeded: digits.count)] + digits
  }

  private static func halves(
    _ der: Span<UInt8>
  ) throws(MigrationError) -> (r: [UInt8], s: [UInt8])? {
    var cursor = ByteCursor(der)
    guard try cursor.read(UInt8.self) == 0x30 else { return nil }
    var length = try cursor.read(UInt8.self)
    if length == 0x81 {
      length = try cursor.read(UInt8.self)
      guard length >= 0x80 else { return nil }
    } else if length >= 0x80 {
      return nil
    }
    guard Int(length) == cursor.remaining, let r = try magnitude(&cursor),
      let s = try magnitude(&cursor), cursor.remaining == 0
    else { return nil }
    return (r, s)
  }

  /// Reads one INTEGER that fits the order's size.
  private static func magnitude(_ cursor: inout ByteCursor) throws(MigrationError) -> [UInt8]? {
    let size = Curve.parameters.fieldSize
    guard try cursor.read(UInt8.self) == 0x02 else { return nil }
    let length = try cursor.read(UInt8.self)
    guard length >= 1, Int(length) <= size + 1 else { return nil }
    var digits = try cursor.takeArray(Int(length))
    guard digits[0] < 0x80 else { return nil }
    if digits[0] == 0, digits.count > 1 {
      guard digits[1] >= 0x80 else { return nil }
      digits.removeFirst()
    }
    guard digits.count <= size else { return nil }
    return [UInt8](repeating: 0, count: size - digits.count) + digits
  }
}
