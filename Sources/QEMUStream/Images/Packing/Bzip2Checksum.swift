/// The checksum of a block of bzip2: a CRC-32 that begins with the highest bit.
///
/// The state after a byte is linear in the state before it and in the byte. So what 2^k equal bytes do
/// is in tables, and a run costs a step for each bit of its length, not for each byte: five packed bytes
/// may stand for 259.
struct Bzip2Checksum {
  private static let polynomial: UInt32 = 0x04c1_1db7
  /// Longest run that `add` takes: fewer than 2 to the number of tables.
  static let runLimit = 255

  /// What 2^k equal bytes do to a state.
  private struct Power {
    /// For each byte of the state, from the lowest on, and each of its values: the state after 2^k bytes
    /// of zero.
    var states: [UInt32]
    /// For each byte: the state after 2^k of them, from a state of zero on.
    var bytes: [UInt32]

    /// One byte.
    init() {
      bytes = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte) << 24) { value, _ in
          value >> 31 == 1 ? value << 1 ^ Bzip2Checksum.polynomial : value << 1
        }
      }
      states = (0..<768).map { UInt32($0 & 0xff) << UInt32(8 * ($0 >> 8) + 8) } + bytes
    }

    /// Twice as many bytes.
    init(twice half: Power) {
      bytes = half.bytes.map { half.passed($0) ^ $0 }
      states = half.states.map { half.passed($0) }
    }

    /// The state after 2^k bytes of zero.
    func passed(_ state: UInt32) -> UInt32 {
      states[Int(state & 0xff)] ^ states[Int(state >> 8 & 0xff) + 256]
        ^ states[Int(state >> 16 & 0xff) + 512] ^ states[Int(state >> 24) + 768]
    }
  }

  private static let powers = (1..<8).reduce(into: [Power()]) { powers, index in
    powers.append(Power(twice: powers[index - 1]))
  }

  private var state = UInt32.max

  var value: UInt32 { ~state }

  mutating func add(_ byte: UInt8) {
    state = state << 8 ^ Self.powers[0].bytes[Int(state >> 24 ^ UInt32(byte))]
  }

  /// Adds a byte `count` times, at most `runLimit`.
  mutating func add(_ byte: UInt8, count: Int) {
    var (left, power) = (count, 0)
    while left > 0 {
      if left & 1 == 1 {
        let power = Self.powers[power]
        state = power.passed(state) ^ power.bytes[Int(byte)]
      }
      left >>= 1
      power += 1
    }
  }
}
