internal import Wire

extension JSON {
  /// The bytes that this value represents: an array of numbers from 0 to 255, or a string that is a
  /// `BinaryText`; nil for anything else, including an empty string or array.
  package var bytes: [UInt8]? {
    switch self {
    case .array(let elements):
      var bytes: [UInt8] = []
      for element in elements {
        guard let byte = element.uint.flatMap({ UInt8(exactly: $0) }) else { return nil }
        bytes.append(byte)
      }
      return bytes
    case .string(let text): return text.isEmpty ? [] : BinaryText(Array(text.utf8))?.bytes
    default: return nil
    }
  }
}
