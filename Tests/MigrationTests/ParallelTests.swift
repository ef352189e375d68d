import Errors
import FileIO
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SVSM
import TestSupport
import Testing

/// A guest larger than all that is in flight at once, and its stream: private and shared memory, data,
/// zero pages, and holes.
private final class LargeGuest: Sendable {
  static let size = 24 << 20
  static let `private` = "0x100000-0x9fffff,0xc03000-0xffffff,0x1400000-0x17fffff"

  let scratch: Scratch
  let memory: [UInt8]
  let destination: SVSMInstance
  let stream: [UInt8]

  init() throws {
    scratch = try Scratch()
    var memory = [UInt8](repeating: 0, count: Self.size)
    let file = try OutputFile(scratch["ram"])
    try file.resize(to: UInt64(Self.size))
    // The second, sixth, ... mebibyte is a hole; elsewhere some pages are zero.
    for start in stride(from: 0, to: Self.size, by: 1 << 20) where start >> 20 & 3 != 1 {
      for index in start..<start + 1 << 20 where index >> 12 % 5 != 2 {
        memory[index] = UInt8(truncatingIfNeeded: index &* 2_654_435_761 >> 11)
      }
      try file.write(memory.span.extracting(start..<start + 1 << 20), at: UInt64(start))
    }
    try file.commit()
    self.memory = memory
    destination = try Lab.instance(1)
    stream = try Lab.save(try Self.open(scratch["ram"]), to: destination, jobs: 1)
  }

  static func open(_ path: String) throws -> GuestReader {
    var options = RawImageOptions()
    options.privateRanges = try GPARangeSet(parsing: Self.private)
    return try GuestReader(rawImage: path, options)
  }
}

private let large = Result { try LargeGuest() }

@Suite struct ParallelTests {
  @Test(arguments: [2, 3, 7])
  func theStreamDoesNotDependOnTheNumberOfJobs(jobs: Int) throws {
    let large = try large.get()
    let guest = try LargeGuest.open(large.scratch["ram"])
    #expect(try Lab.save(guest, to: large.destination, jobs: jobs) == large.stream)
  }

  @Test func aHoleIsReadAsTheZerosItStandsFor() throws {
    let large = try large.get()
    let scratch = try Scratch()
    let guest = try LargeGuest.open(try scratch.write("filled", large.memory))
    #expect(try Lab.save(guest, to: large.destination, jobs: 1) == large.stream)
  }

  @Test(arguments: [1, 2, 5])
  func memoryComesBackAndStaysSparse(jobs: Int) throws {
    let large = try large.get()
    let scratch = try Scratch()
    try Lab.load(large.stream, for: large.destination, to: scratch["out"], jobs: jobs)
    #expect(try scratch.read("out/ram-0.bin") == large.memory)
    let file = try InputFile(scratch["out/ram-0.bin"])
    var stored: UInt64 = 0
    var next: UInt64 = 0
    while let extent = try file.nextData(from: next) {
      stored += UInt64(extent.count)
      next = extent.upperBound
    }
    // Six of 24 mebibytes are holes, one of five other pages is zero. A file system without holes
    // reports all as stored.
    #expect(stored <= 15 << 20 || stored == UInt64(LargeGuest.size))
  }

  /// Rows: pages of the stream to damage, in the order in which they are damaged.
  @Test(arguments: [[0], [1], [63], [64], [777], [3000], [4000, 2000], [70, 65]], [1, 2, 5])
  func theFirstForgedPageOfAStreamIsNamed(pages: [Int], jobs: Int) throws {
    let large = try large.get()
    var stream = large.stream
    let first = try firstPage(of: stream)
    for page in pages { stream[first + page * SNPStreamReader.pageStride + 1000] ^= 4 }
    let report = try Lab.verifier(jobs: jobs)
      .verify(StreamInput(ArraySource(stream)), for: large.destination)
    #expect(report.refusal?.code == .pageTag)
    #expect(report.refusal?.place?.name == "snp-private-pages")
    let named = first + (pages.min() ?? 0) * SNPStreamReader.pageStride
    #expect(report.refusal?.offset == UInt64(named))
  }

  @Test(arguments: [1, 2, 5])
  func aForgedPageIsNamedBeforeTheDamageBehindIt(jobs: Int) throws {
    let large = try large.get()
    var stream = large.stream
    let first = try firstPage(of: stream)
    stream[first + 500 * SNPStreamReader.pageStride + 1000] ^= 4
    // The type of the part behind the next page.
    stream[first + 502 * SNPStreamReader.pageStride - 5] = 0x55
    let report = try Lab.verifier(jobs: jobs)
      .verify(StreamInput(ArraySource(stream)), for: large.destination)
    #expect(report.refusal?.code == .pageTag)
    #expect(report.refusal?.offset == UInt64(first + 500 * SNPStreamReader.pageStride))
  }

  @Test(arguments: [1, 2, 5])
  func theFirstDamagedChunkIsNamed(jobs: Int) throws {
    let large = try large.get()
    var stream = large.stream
    let first = try firstPage(of: stream)
    for page in [100, 2000] { stream[first + page * SNPStreamReader.pageStride + 2000] ^= 1 }
    let report = try Lab.verifier(jobs: jobs).verify(StreamInput(ArraySource(stream)))
    #expect(report.refusal?.code == .sealChunk)
    let place = UInt64(first + 100 * SNPStreamReader.pageStride + 2000)
    #expect(report.refusal?.offset == place & ~UInt64(262143))
  }

  /// Rows: bytes that are left of the image: within data, within a hole.
  @Test(arguments: [0x100_1388, 0x50_2000] as [Int64], [1, 2])
  func anImageThatBecomesShorterIsAnErrorAndNotZeros(left: Int64, jobs: Int) throws {
    let large = try large.get()
    let scratch = try Scratch()
    try scratch.write("ram", large.memory)
    let guest = try LargeGuest.open(scratch["ram"])
    try scratch.truncate("ram", to: left)
    let code = refusalCode { _ = try Lab.save(guest, to: large.destination, jobs: jobs) }
    #expect(code == .readFailed)
  }

  /// Where the first page record begins.
  private func firstPage(of stream: [UInt8]) throws -> Int {
    var reader = SNPStreamReader(StreamInput(ArraySource(stream)), checkingSealWith: nil)
    while true {
      if case .pages = try reader.next() { return Int(reader.payloadOffset) }
    }
  }
}
