internal import Wire

/// The checksum XXH32 with seed 0 (`xxhash_spec.md`) over bytes that are supplied piece by piece.
struct XXH32 {
  private static let primes: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
    0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1
  )
  /// Number of bytes that are processed at once.
  private static let stripe = 16

  private var lanes: (UInt32, UInt32, UInt32, UInt32)
  /// The last bytes, fewer than a stripe.
  private var rest: [UInt8] = []
  private var count: UInt32 = 0

  init() {
    lanes = (Self.primes.0 &+ Self.primes.1, Self.primes.1, 0, 0 &- Self.primes.0)
    rest.reserveCapacity(Self.stripe)
  }

  mutating func take(_ bytes: Span<UInt8>) {
    count &+= UInt32(truncatingIfNeeded: bytes.count)
    var next = 0
    if !rest.isEmpty {
      next = min(Self.stripe - rest.count, bytes.count)
      rest.append(copying: bytes.extracting(first: next))
      guard rest.count == Self.stripe else { return }
      let whole = rest
      mix(whole.span, at: 0)
      rest.removeAll()
    }
    while next + Self.stripe <= bytes.count {
      mix(bytes, at: next)
      next += Self.stripe
    }
    rest.append(copying: bytes.extracting(next..<bytes.count))
  }

  var value: UInt32 {
    func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 { value << bits | value >> (32 - bits) }
    var hash =
      count >= Self.stripe
      ? rotate(lanes.0, 1) &+ rotate(lanes.1, 7) &+ rotate(lanes.2, 12) &+ rotate(lanes.3, 18)
      : Self.primes.4
    hash &+= count
    var next = 0
    while next + 4 <= rest.count {
      hash = rotate(hash &+ Self.word(rest.span, at: next) &* Self.primes.2, 17) &* Self.primes.3
      next += 4
    }
    for byte in rest[next...] {
      hash = rotate(hash &+ UInt32(byte) &* Self.primes.4, 11) &* Self.primes.0
    }
    hash = (hash ^ hash >> 15) &* Self.primes.1
    hash = (hash ^ hash >> 13) &* Self.primes.2
    return hash ^ hash >> 16
  }

  private mutating func mix(_ bytes: Span<UInt8>, at start: Int) {
    func step(_ lane: UInt32, _ index: Int) -> UInt32 {
      let sum = lane &+ Self.word(bytes, at: start + 4 * index) &* Self.primes.1
      return (sum << 13 | sum >> 19) &* Self.primes.0
    }
    lanes = (step(lanes.0, 0), step(lanes.1, 1), step(lanes.2, 2), step(lanes.3, 3))
  }

  private static func word(_ bytes: Span<UInt8>, at place: Int) -> UInt32 {
    UInt32(bytes[place]) | UInt32(bytes[place + 1]) << 8 | UInt32(bytes[place + 2]) << 16
      | UInt32(bytes[place + 3]) << 24
  }
}
