/// Text of others, which may be made to cost much.
///
/// Swift compares and hashes strings by what they stand for, not by their bytes, and puts combining marks in order
/// for that: time grows with the square of the marks that follow each other. No script has many of them. So text
/// of others must be stream-safe, as Unicode calls it (UAX #15).
extension StringProtocol {
  /// Whether at most 30 combining marks follow each other.
  package var isStreamSafe: Bool {
    var marks = 0
    for scalar in unicodeScalars {
      guard !scalar.isASCII else {
        marks = 0
        continue
      }
      switch scalar.properties.generalCategory {
      case .nonspacingMark, .spacingMark, .enclosingMark:
        marks += 1
        if marks > 30 { return false }
      default: marks = 0
      }
    }
    return true
  }
}

extension String {
  /// The text of these bytes; nil when they are not UTF-8, or the text is not stream-safe.
  package init?(streamSafe bytes: some Sequence<UInt8>) {
    guard let text = String(validating: bytes, as: UTF8.self), text.isStreamSafe else {
      return nil
    }
    self = text
  }
}
