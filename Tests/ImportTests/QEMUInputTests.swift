import Errors
import FileIO
import Import
import QEMUStream
import TestSupport
import Testing

/// A stream is found in its file, and its kind told, before it is read.
@Suite struct QEMUInputTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func input(_ bytes: [UInt8], from offset: UInt64 = 0) throws -> QEMUInput {
    try QEMUInput(InputFile(scratch.write("stream", bytes)), at: StreamPlace(offset: offset))
  }

  @Test func aStreamBehindOtherBytesIsFoundAtItsOffset() throws {
    let stream = try Fixture.read("golden/tiny/stream.mig")
    let input = try input([UInt8](repeating: 7, count: 100) + stream, from: 100)
    #expect(input.start == 100)
    #expect(try StreamKind(detecting: input.stream) == .snp)
    #expect(refusalCode { try input.requireAlone() } == .streamKind)
  }

  @Test func nothingAtTheOffsetIsAnEmptyStream() throws {
    #expect(refusalCode { _ = try input([]) } == .streamEmpty)
    #expect(refusalCode { _ = try input([1, 2, 3], from: 3) } == .streamEmpty)
  }

  @Test func aRefusalOfWhatIsNoStreamSaysWhatItIs() throws {
    let input = try input([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])
    var reader = try input.reader()
    let error = #expect(throws: (any Error).self) { _ = try reader.next() }
    let refusal = try #require(error as? MigrationError)
    #expect(refusal.code == .streamMagic)
    #expect(input.explain(refusal).got?.description.contains(": an ELF file") == true)
  }
}
