import Errors
import QEMUStream
import Testing
import Wire

@Suite struct StreamInputTests {
  private let counted = (0..<20000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

  @Test(arguments: [1, 13, 4096, 100_000], [1, 9, 4104])
  func theWindowShowsTheBytesInOrderWhateverTheSourceGives(pieceSize: Int, step: Int) throws {
    let input = StreamInput(ArraySource(counted, pieceSize: pieceSize), capacity: 4096)
    var seen: [UInt8] = []
    while try input.available(atLeast: step) >= step {
      #expect(input.offset == UInt64(seen.count))
      seen += Array(copying: input.bytes.extracting(first: step))
      input.consume(step)
    }
    seen += Array(copying: input.bytes)
    #expect(seen == counted)
  }

  @Test(arguments: [1, 1000, 100_000])
  func pinnedBytesStayWhileTheStreamIsReadOn(pieceSize: Int) throws {
    let input = StreamInput(ArraySource(counted, pieceSize: pieceSize), capacity: 4096)
    try input.require(3000)
    input.consume(100)
    let pinned = try #require(input.pinWindow(10..<2000))
    try input.skip(15000)
    #expect(Array(copying: pinned.bytes) == Array(counted[110..<2100]))
    input.unpin(pinned)
  }

  @Test func consumedBytesCanBePinnedUntilTheyAreReleased() throws {
    let input = StreamInput(ArraySource(counted), capacity: 4096)
    input.keepConsumed()
    try input.skip(12000)
    let pinned = try #require(input.pin(at: 4096, count: 4096))
    input.release(before: 8192)
    #expect(input.pin(at: 4096, count: 4096) == nil)
    #expect(input.pin(at: 8000, count: 4096) == nil, "lies in two segments")
    let next = try #require(input.pin(at: 8192, count: 3000))
    input.unpin(next)
    try input.skip(8000)
    #expect(Array(copying: pinned.bytes) == Array(counted[4096..<8192]))
    input.unpin(pinned)
  }

  @Test(arguments: [1, 1000, 100_000])
  func aRecordLargerThanASegmentIsWholeAndReadingGoesOnBehindIt(pieceSize: Int) throws {
    let input = StreamInput(ArraySource(counted, pieceSize: pieceSize), capacity: 4096)
    input.keepConsumed()
    try input.skip(4000)
    try input.require(9000)
    #expect(Array(copying: input.bytes.extracting(first: 9000)) == Array(counted[4000..<13000]))
    #expect(input.pinWindow(0..<1) == nil)
    let pinned = try #require(input.pin(at: 8192, count: 4096))
    #expect(Array(copying: pinned.bytes) == Array(counted[8192..<12288]))
    input.unpin(pinned)
    input.consume(9000)
    try input.require(1)
    #expect(input.pinWindow(0..<1) != nil)
    try input.require(7000)
    #expect(Array(copying: input.bytes) == Array(counted[13000...]))
  }

  @Test func theEndIsNamedWhereTheStreamEnds() throws {
    let input = StreamInput(ArraySource([1, 2, 3, 4, 5]), offset: 0x100)
    input.consume(0)
    _ = try input.read(UInt16.self)
    let refusal = #expect(throws: MigrationError.self) { try input.require(8) }
    #expect(refusal?.code == .streamTruncated)
    #expect(refusal?.offset == 0x105)
    #expect(refusal?.expected == "8 bytes from byte 0x102")
    #expect(refusal?.got == "3")
    #expect(try input.read(UInt8.self) == 3)
    #expect(throws: MigrationError.self) { try input.skip(3) }
  }

  @Test func aRecordBeyondTheLimitIsRefusedBeforeItIsRead() throws {
    let input = StreamInput(ArraySource(counted), capacity: 4096, limit: 8192)
    try input.require(8192)
    let refusal = #expect(throws: MigrationError.self) { try input.require(8193) }
    #expect(refusal?.code == .sectionLength)
  }

  @Test func fieldsAreBigEndian() throws {
    let input = StreamInput(ArraySource(Array(1...15)), capacity: 4096)
    #expect(try input.read(UInt8.self) == 0x01)
    #expect(try input.read(UInt16.self) == 0x0203)
    #expect(try input.read(UInt32.self) == 0x0405_0607)
    #expect(try input.read(UInt64.self) == 0x0809_0A0B_0C0D_0E0F)
    #expect(try input.isAtEnd())
    #expect(try input.peekByte() == nil)
  }
}
