import Errors
import FileIO
import TestSupport
import Testing
import Wire

@Suite struct ScatterGatherTests {
  private let scratch: Scratch
  init() throws { scratch = try Scratch() }

  /// Rows: more pieces than one system call takes; pieces that touch; one.
  @Test(arguments: [
    SpacedPieces(start: 7, size: 16, stride: 24, count: 2500),
    SpacedPieces(start: 0, size: 100, stride: 100, count: 30),
    SpacedPieces(start: 3, size: 5, stride: 9, count: 1),
    SpacedPieces(start: 3, size: 5, stride: 9, count: 0),
  ])
  func piecesAreWrittenAndReadOneBehindTheOther(pieces: SpacedPieces) throws {
    let buffer = (0..<pieces.end + 10).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 2) }
    let joined = (0..<pieces.count).flatMap { index in
      buffer[
        pieces.start + index * pieces.stride..<pieces.start + index * pieces.stride + pieces.size]
    }
    let output = try OutputFile(scratch["file"])
    try output.resize(to: UInt64(50 + joined.count))
    try output.write(buffer.span, pieces, at: 50)
    try output.commit()
    #expect(try scratch.read("file") == [UInt8](repeating: 0, count: 50) + joined)

    var read = [UInt8](repeating: 0xee, count: buffer.count)
    var span = read.mutableSpan
    try InputFile(scratch["file"]).read(at: 50, into: &span, pieces)
    for index in read.indices {
      let place = index - pieces.start
      let isInside =
        place >= 0 && place / pieces.stride < pieces.count && place % pieces.stride < pieces.size
      #expect(read[index] == (isInside ? buffer[index] : 0xee))
    }
  }

  @Test func aFileThatEndsBeforeThePiecesAreFullIsRefused() throws {
    let file = try InputFile(try scratch.write("file", [UInt8](repeating: 1, count: 99)))
    var buffer = [UInt8](repeating: 0, count: 200)
    let pieces = SpacedPieces(start: 0, size: 10, stride: 20, count: 10)
    let code = refusalCode {
      var span = buffer.mutableSpan
      try file.read(at: 0, into: &span, pieces)
    }
    #expect(code == .readFailed)
  }

  @Test func aFileThatBecameShorterHasNoHoleThere() throws {
    let path = try scratch.write("file", [UInt8](repeating: 1, count: 20000))
    try scratch.truncate("file", to: 1 << 20)
    let file = try InputFile(path)
    try file.requireSize()
    #expect(try file.nextData(from: 0) == 0..<20480)
    #expect(try file.nextData(from: 32768) == nil)
    try scratch.truncate("file", to: 8192)
    #expect(refusalCode { try file.requireSize() } == .readFailed)
    #expect(refusalCode { _ = try file.nextData(from: 12288) } == .readFailed)
  }

  @Test("A file with all bytes allocated has no holes, and one that became shorter cannot be read")
  func aDenseFileHasNoHoles() throws {
    let file = try InputFile(try scratch.write("file", [UInt8](repeating: 0, count: 20480)))
    #expect(try file.nextData(from: 8192) == 8192..<20480)
    #expect(try file.nextData(from: 20480) == nil)
    try scratch.truncate("file", to: 8192)
    var buffer = [UInt8](repeating: 0, count: 4096)
    let pieces = SpacedPieces(start: 0, size: 4096, stride: 4096, count: 1)
    let code = refusalCode {
      var span = buffer.mutableSpan
      try file.read(at: 12288, into: &span, pieces)
    }
    #expect(code == .readFailed)
  }
}
