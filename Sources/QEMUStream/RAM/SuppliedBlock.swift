internal import Errors
internal import Wire

/// The memory of a RAM block that a stream leaves to a file outside of it (`x-ignore-shared`): that file.
package struct SuppliedBlock {
  /// Of the block.
  package let name: SectionName
  /// Its content, from the first byte to the last.
  package let file: any PositionedSource
  /// What the file is called in messages.
  package let fileName: String

  package init(name: SectionName, file: any PositionedSource, fileName: String) {
    (self.name, self.file, self.fileName) = (name, file, fileName)
  }

  /// A refusal of the file.
  func refused(_ what: String, expected: String? = nil, got: String) -> MigrationError {
    MigrationError(.ramBlock, what, in: .file(fileName), expected: expected, got: got)
  }

  /// Bytes that are read at once.
  private static let pieceSize = 256 << 10

  /// Writes all that is stored of the file; memory is zero where nothing is written.
  /// - Parameter block: number of the block in the list.
  func write(as block: Int, to writer: PageWriter?) throws(MigrationError) {
    guard writer != nil else { return }
    let buffer = PageBuffer(count: Self.pieceSize)
    var place: UInt64 = 0
    while let data = try file.nextData(from: place), data.lowerBound < file.size {
      place = data.lowerBound
      while place < min(data.upperBound, file.size) {
        let count = Int(min(UInt64(Self.pieceSize), min(data.upperBound, file.size) - place))
        var target = buffer.mutableSpan(0..<count)
        try file.read(at: place, into: &target)
        try writer?.write(
          RAMPage(block: block, offset: place), buffer.span.extracting(first: count))
        place += UInt64(count)
      }
    }
  }
}
