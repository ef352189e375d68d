import Comparison
import Guest
import Testing

@Suite struct PageTableTests {
  @Test("Numbers of pages far apart, in any order, are those that were set last")
  func numbersStay() throws {
    // More windows than are held in memory; the last page of a block is not whole.
    let pages: UInt64 = 200_000
    let table = try PageTable(blockSizes: [pages * 4096 - 100, 8192], words: 2)
    #expect(table.pages == [pages, 2])
    var expected: [UInt64: UInt64] = [:]
    var page: UInt64 = 1
    for value in 1...UInt64(5000) {
      page = page &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      expected[page % pages] = value
      try table.set(value, block: 0, page: page % pages, word: 1)
    }
    try table.set(9, block: 1, page: 1)
    for (page, value) in expected {
      #expect(try table.value(block: 0, page: page, word: 1) == value)
      #expect(try table.value(block: 0, page: page) == 0)
    }
    try table.flush()
    var bytes = [UInt8](repeating: 1, count: 32)
    var span = bytes.mutableSpan
    try table.files().read(block: 1, at: 0, into: &span)
    #expect(
      bytes == [UInt8](repeating: 0, count: 16) + [0, 0, 0, 0, 0, 0, 0, 9]
        + [UInt8](repeating: 0, count: 8))
  }

  @Test("Blocks of one page each lie side by side, and each has its own number")
  func smallBlocksHaveTheirOwnNumbers() throws {
    let table = try PageTable(blockSizes: [UInt64](repeating: 4096, count: 20_000), words: 1)
    for block in 0..<20_000 { try table.set(UInt64(block), block: block, page: 0) }
    try table.flush()
    for block in [0, 1, 8191, 8192, 19_999] {
      #expect(try table.value(block: block, page: 0) == UInt64(block))
      var bytes = [UInt8](repeating: 1, count: 8)
      var span = bytes.mutableSpan
      try table.files().read(block: block, at: 0, into: &span)
      #expect(bytes == [0, 0, 0, 0, 0, 0, UInt8(block >> 8), UInt8(block & 0xFF)])
    }
  }
}
