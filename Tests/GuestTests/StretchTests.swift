import FileIO
import Guest
import TestSupport
import Testing

@Suite struct StretchTests {
  /// An image of 4 MiB that stores pages at these places.
  private func image(_ scratch: Scratch, _ pages: [UInt64]) throws -> GuestReader {
    let output = try OutputFile(scratch["ram"])
    try output.resize(to: 4 << 20)
    for page in pages { try output.write([UInt8](repeating: 7, count: 4096).span, at: page) }
    try output.commit()
    return try GuestReader(rawImage: scratch["ram"])
  }

  @Test func stretchesCoverABlockAndNoDataLiesInAHole() throws {
    let scratch = try Scratch()
    let pages: [UInt64] = [0x5000, 0x7000, 0x20_0000, 0x20_3000, 0x3f_f000]
    let guest = try image(scratch, pages)
    var next: UInt64 = 0
    var holes: UInt64 = 0
    while next < 4 << 20 {
      let stretch = try guest.stretch(block: 0, from: next, to: 4 << 20)
      try #require(stretch.end > next && stretch.end % 4096 == 0)
      if stretch.isHole {
        holes += stretch.end - next
        #expect(!pages.contains { (next..<stretch.end).contains($0) })
      }
      next = stretch.end
    }
    #expect(next == 4 << 20)
    // What is small is read; a file system without holes has none.
    #expect(holes == 0 || holes >= 3 << 20)
  }

  @Test func aStretchEndsWhereItIsAskedTo() throws {
    let scratch = try Scratch()
    let guest = try image(scratch, [0x5000, 0x10_0000])
    #expect(try guest.stretch(block: 0, from: 0, to: 0x3000).end == 0x3000)
    #expect(try guest.stretch(block: 0, from: 0x10_0000, to: 0x10_1000).end == 0x10_1000)
  }
}
