/// Pseudo-random numbers that depend only on a seed: xoshiro256++ 1.0, seeded with SplitMix64 (both
/// by Blackman and Vigna). For test guests only; it is not cryptographically secure.
package struct SeededGenerator: RandomNumberGenerator {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  /// Draws the four words of state from SplitMix64, started with `seed`.
  package init(_ seed: UInt64) {
    var seed = seed
    state = (
      Self.splitMix(&seed), Self.splitMix(&seed), Self.splitMix(&seed), Self.splitMix(&seed)
    )
  }

  /// The next number of xoshiro256++.
  package mutating func next() -> UInt64 {
    let result = Self.rotate(state.0 &+ state.3, 23) &+ state.0
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = Self.rotate(state.3, 45)
    return result
  }

  /// A number below `bound`, which is not zero. The bias of the reduction does not matter here.
  mutating func next(below bound: UInt64) -> UInt64 { next() % bound }

  /// True with a probability of one in `chances`.
  mutating func once(in chances: UInt64) -> Bool { next(below: chances) == 0 }

  /// The next `count` bytes, eight from each number, least significant byte first.
  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 7)
    while bytes.count < count {
      let word = next()
      for shift in stride(from: UInt64(0), to: 64, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  private static func splitMix(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return mix(state)
  }

  /// SplitMix64's finalizer.
  static func mix(_ value: UInt64) -> UInt64 {
    var value = value
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }

  private static func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 {
    value << by | value >> (64 - by)
  }
}

/// A seed of any length, from which independent generators are derived (`Formats/guest-bundle.md`,
/// section 10).
struct GuestSeed {
  /// What a generator is for.
  enum Purpose: UInt64 {
    case states = 1
    case page = 2
    case dirty = 3
    case vcpu = 4
    case service = 5
    case secrets = 6
    case conversion = 7
  }

  private let root: UInt64

  /// The root is FNV-1a (64 bits) of the bytes.
  init(_ bytes: [UInt8]) {
    root = bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  func number(_ purpose: Purpose, _ index: UInt64, _ version: UInt64 = 0) -> UInt64 {
    var value = root
    for part in [purpose.rawValue, index, version] {
      value = SeededGenerator.mix(value ^ SeededGenerator.mix(part &+ 0x9e37_79b9_7f4a_7c15))
    }
    return value
  }

  func generator(_ purpose: Purpose, _ index: UInt64 = 0, _ version: UInt64 = 0)
    -> SeededGenerator
  {
    SeededGenerator(number(purpose, index, version))
  }
}
