internal import Errors
internal import QEMUStream
internal import SVSM
internal import Wire

extension SealCheck {
  /// Searches for a seal at an unknown position, after records that cannot be followed. A seal
  /// states the length of what it covers, so one that is at exactly that position is recognized for
  /// certain.
  ///
  /// The bytes before the seal are consumed and hashed. Not more of the input is held than a seal's
  /// fixed part.
  /// - Parameter streamStart: offset of the stream's first byte.
  /// - Returns: false when there is none; then the input is at its end.
  func find(in input: StreamInput, streamStart: UInt64) throws(MigrationError) -> Bool {
    let size = Seal.Layout.size
    while true {
      // A seal does not begin in a hole, because its first byte is not zero.
      try passHole()
      guard try input.available(atLeast: size) >= size else { break }
      guard let place = Self.firstMagic(in: input.bytes, before: input.count - size + 1) else {
        try consume(upTo: input.offset + UInt64(input.count - size + 1))
        continue
      }
      try consume(upTo: input.offset + UInt64(place))
      if try input.available(atLeast: size) >= size, stands(in: input, streamStart) { return true }
      try consume(upTo: input.offset + 1)
    }
    try consume(upTo: input.offset + UInt64(input.count))
    return false
  }

  private static func firstMagic(in window: Span<UInt8>, before end: Int) -> Int? {
    let magic = Seal.magic
    for place in 0..<end where window[place] == magic[0] {
      if window.extracting(place..<place + magic.count).isEqual(to: magic) { return place }
    }
    return nil
  }

  /// Whether the window begins with the fixed part of a seal that covers exactly the bytes before
  /// it.
  private func stands(in input: StreamInput, _ streamStart: UInt64) -> Bool {
    var cursor = ByteCursor(input.bytes.extracting(first: Seal.Layout.size), at: input.offset)
    guard let seal = try? Seal(from: &cursor) else { return false }
    return seal.coveredLength == input.offset - streamStart
  }
}
