extension StringProtocol {
  /// The text between line feeds. A carriage return before a line feed remains in its line: as a
  /// `Character` the two would be one, which is not equal to a line feed.
  var lines: [Substring] {
    utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map {
      Substring(decoding: $0, as: UTF8.self)
    }
  }

  /// Whether the line ends with a carriage return.
  var endsInCarriageReturn: Bool { utf8.suffix(1).first == UInt8(ascii: "\r") }
}
