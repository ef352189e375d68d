import Cryptography
import Migration
import SVSM
import Testing
import Threads
import Wire

@Suite("Leaves of the seal's hash tree")
struct LeafHasherTests {
  /// Leaves of `sizes` chunks that follow each other, by one engine.
  private static func leaves(
    _ sizes: [Int], _ buffer: PageBuffer, inLanes: Bool, jobs: Int
  ) throws -> [UInt8] {
    let hasher = LeafHasher(WorkCrew(jobs: jobs), inLanes: inLanes)
    var start = 0
    for size in sizes {
      try hasher.submit(buffer, start..<start + size)
      start += size
    }
    for _ in sizes { _ = try hasher.finishOldest() }
    #expect(hasher.length == UInt64(start))
    return hasher.leaves.encoded
  }

  @Test(
    "Chunks have the leaves of RFC 6962 with either engine and any number of jobs",
    arguments: [1, 2, 3])
  func enginesAgree(jobs: Int) throws {
    let size = Seal.chunkSize
    let buffer = PageBuffer(count: 8 * size)
    var bytes = buffer.mutableSpan
    for index in stride(from: 0, to: bytes.count, by: 61) {
      bytes[index] = UInt8(truncatingIfNeeded: index / 61)
    }
    for sizes in [
      [1], [size], [size, 1], [size, size], [size, size, 5], [size, size, size],
      [size, size, size, size - 1], Array(repeating: size, count: 7) + [100], [7, 7, 7, 8],
    ] {
      var expected: [UInt8] = []
      var start = 0
      for size in sizes {
        var hash = try SHA256()
        try hash.update([0])
        try hash.update(buffer.span.extracting(start..<start + size))
        expected += try hash.finish()
        start += size
      }
      for inLanes in [false, SHA256Lanes.isAvailable] {
        #expect(try Self.leaves(sizes, buffer, inLanes: inLanes, jobs: jobs) == expected)
      }
    }
  }
}
