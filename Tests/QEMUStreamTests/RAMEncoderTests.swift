import QEMUStream
import Testing
import Wire

@Suite struct RAMEncoderTests {
  private static let blocks = [
    RAMBlock(name: "pc.ram", length: 1 << 20), RAMBlock(name: "pc.bios", length: 1 << 20),
  ]

  /// Rows: which of the pages are zero, bit by bit.
  @Test(arguments: [0, 0b1, 0b10, 0b1000_0001, 0b0101_0110, 0b1111_1111, 0b0111_1111], [0, 1])
  func pagesEncodedInPlaceAreDecodedAgain(zeros: Int, before: Int) throws {
    var encoder = RAMEncoder(blocks: Self.blocks)
    // With a block named before, or not.
    if before == 1 { encoder.continue(block: 1) }
    let prefix = encoder.prefixSize(ofBlock: 1)
    #expect(prefix == (before == 1 ? 8 : 16))
    let stride = RAMEncoder.continuedPrefix + Page.size
    var buffer = [UInt8](repeating: 0, count: 3 + prefix + 8 * stride)
    for page in 0..<8 where zeros >> page & 1 == 0 {
      for index in 0..<4096 {
        buffer[3 + prefix + page * stride + index] = UInt8(truncatingIfNeeded: page + index | 1)
      }
    }
    let pages = (0..<8).map { page in
      Array(buffer[3 + prefix + page * stride..<3 + prefix + page * stride + 4096])
    }
    var span = buffer.mutableSpan
    let page = RAMPage(block: 1, offset: 0x3000)
    let made = encoder.encode(&span, at: 3, page, count: 8, isHole: false)
    #expect(made.zeros == zeros.nonzeroBitCount)

    var stream: [UInt8] = []
    encoder.appendBlockList(to: &stream)
    if before == 1 {
      var first = RAMEncoder(blocks: Self.blocks)
      first.append(RAMPage(block: 1, offset: 0), to: &stream)
    }
    stream += buffer[3..<3 + made.size]
    encoder.appendEnd(to: &stream)
    let input = StreamInput(ArraySource(stream))
    var decoder = RAMDecoder()
    for _ in 0..<1 + before { _ = try decoder.next(from: input) }
    for index in 0..<8 {
      let place = RAMPage(block: 1, offset: 0x3000 + UInt64(index) * 4096)
      let record = try decoder.next(from: input)
      #expect(record == (zeros >> index & 1 == 1 ? .zero(place) : .page(place)))
      if record.payloadSize(page: Page.size) > 0 {
        #expect(Array(copying: input.bytes.extracting(first: 4096)) == pages[index])
      }
    }
    #expect(try decoder.next(from: input) == .end)
  }

  @Test func aHoleNeedsNoContent() throws {
    var encoder = RAMEncoder(blocks: Self.blocks)
    var buffer = [UInt8](repeating: 0xcc, count: RAMEncoder.maximumPrefix + 100 * 9)
    var span = buffer.mutableSpan
    let made = encoder.encode(
      &span, at: 0, RAMPage(block: 0, offset: 0), count: 100, isHole: true)
    #expect(made.zeros == 100)
    #expect(made.size == 8 + 7 + 1 + 99 * 9)
  }
}
