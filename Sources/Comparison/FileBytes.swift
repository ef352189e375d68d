internal import Errors
internal import FileIO
internal import Wire

/// Two files, read in step.
enum FileBytes {
  private static let batchSize = 256 << 10

  /// Offset of the first byte that differs; of two files of which one is longer, at the latest the end of the
  /// other one. Nil for equal files.
  /// - Throws: `INPUT-KIND`, `IO-READ`.
  static func firstDifference(
    _ one: InputFile, _ other: InputFile
  ) throws(MigrationError) -> UInt64? {
    let sizes = (try one.regularSize(), try other.regularSize())
    let common = min(sizes.0, sizes.1)
    let (first, second) = (PageBuffer(count: batchSize), PageBuffer(count: batchSize))
    var place: UInt64 = 0
    while true {
      // Where both have holes, nothing differs.
      place = min(try nextData(one, place), try nextData(other, place))
      guard place < common else { break }
      let count = Int(min(UInt64(batchSize), common - place))
      var target = first.mutableSpan(0..<count)
      try one.read(at: place, into: &target)
      var twin = second.mutableSpan(0..<count)
      try other.read(at: place, into: &twin)
      let (bytes, twins) = (first.span, second.span)
      let (piece, twinPiece) = (bytes.extracting(first: count), twins.extracting(first: count))
      if !piece.isEqual(to: twinPiece),
        let index = piece.indices.first(where: { bytes[$0] != twins[$0] })
      {
        return place + UInt64(index)
      }
      place += UInt64(count)
    }
    return sizes.0 == sizes.1 ? nil : common
  }

  /// The first place from `place` on that a file stores.
  private static func nextData(
    _ file: InputFile, _ place: UInt64
  ) throws(MigrationError) -> UInt64 {
    try file.nextData(from: place)?.lowerBound ?? .max
  }

  /// A few bytes of a file from a place on; none at its end.
  /// - Throws: `INPUT-KIND`, `IO-READ`.
  static func excerpt(_ file: InputFile, at place: UInt64) throws(MigrationError) -> [UInt8] {
    let size = try file.regularSize()
    var bytes = [UInt8](repeating: 0, count: Int(min(8, size - min(size, place))))
    var span = bytes.mutableSpan
    try file.read(at: place, into: &span)
    return bytes
  }
}
