internal import Errors
internal import Wire

/// A word of a `ram` body that no plain stream has. Its 8 bytes have been consumed.
package struct ForeignWord: Equatable, Sendable {
  package var word: UInt64
  /// Stream offset of the word.
  package var offset: UInt64
  /// The bits of the word that are flags.
  var mask = TargetPage.x86.mask

  var address: UInt64 { word & ~mask }
  var type: UInt64 { word & mask & ~RAMFlags.continue }
  var isContinued: Bool { word & RAMFlags.continue != 0 }

  /// The error for a word that begins no known record.
  var refusal: MigrationError {
    MigrationError(
      .ramFlags, "word is not a RAM record", in: .ram, at: offset,
      got: "flags 0x" + String(word & mask, radix: 16))
  }
}

extension StreamInput {
  /// Reads a length of 4 bytes, big-endian, and checks that it is in range.
  /// - Throws: `SECTION-LENGTH`.
  func readLength(
    of what: String, _ allowed: ClosedRange<UInt32>
  ) throws(MigrationError) -> UInt32 {
    let place = offset
    let length = try read(UInt32.self)
    guard allowed.contains(length) else {
      let expected =
        allowed.lowerBound == allowed.upperBound
        ? "\(allowed.lowerBound)" : "\(allowed.lowerBound) to \(allowed.upperBound)"
      throw MigrationError(
        .sectionLength, "length of \(what) is not allowed", in: .ram, at: place, expected: expected,
        got: "\(length)")
    }
    return length
  }
}
