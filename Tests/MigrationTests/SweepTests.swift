import Errors
import Foundation
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SVSM
import TestSupport
import Testing
import Wire

/// A golden stream with at most one byte changed, or cut off, without a copy of it.
private final class VariantSource: ByteSource {
  private let golden: [UInt8]
  private let change: (place: Int, mask: UInt8)
  private let length: Int
  private var next = 0

  init(_ golden: [UInt8], change: (place: Int, mask: UInt8) = (0, 0), length: Int? = nil) {
    self.golden = golden
    self.change = change
    self.length = length ?? golden.count
  }

  @unsafe func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) -> Int {
    let count = min(buffer.count, length - next)
    // The buffer is the caller's to fill for the length of this call; `count` fits both sides.
    unsafe buffer.copyBytes(from: golden[next..<next + count])
    if (next..<next + count).contains(change.place) {
      unsafe buffer[change.place - next] ^= change.mask
    }
    next += count
    return count
  }
}

/// The places of a golden stream at which it is damaged: every byte of its structure, or a sample where other
/// streams have the same structure; and a sample of the content of pages and the ciphertext of final records,
/// whose bytes are all alike to a reader. Samples are drawn from a seed.
private struct SweptPlaces {
  /// Streams that have all there is between them: each of their structure's bytes is damaged.
  private static let whole = ["devices", "rounds", "tiny"]
  /// One byte in so many is the sample of a structure.
  private static let structureStep = 8
  /// One byte in so many is the sample of content.
  private static let step = 16
  /// Bytes at the start of a final record that are swept in whole: more than its fixed part has.
  private static let head = 64

  /// In order.
  private(set) var places: [Int] = []
  /// Those of them that are a sample.
  private(set) var sampled: Set<Int> = []

  init(_ golden: [UInt8], _ name: String) throws {
    var generator = SeededGenerator(UInt64(golden.count))
    let isWhole = Self.whole.contains(name)
    func structure(_ range: Range<Int>) -> [Int] {
      isWhole
        ? Array(range)
        : range.filter { _ in Int.random(in: 0..<Self.structureStep, using: &generator) == 0 }
    }
    var next = 0
    for content in try Self.contents(golden) {
      places += structure(next..<content.lowerBound)
      for start in stride(from: content.lowerBound, to: content.upperBound, by: Self.step) {
        let end = min(start + Self.step, content.upperBound)
        let place = Int.random(in: start..<end, using: &generator)
        places.append(place)
        sampled.insert(place)
      }
      next = content.upperBound
    }
    places += structure(next..<golden.count - 1) + [golden.count - 1]
  }

  /// The ranges of content and ciphertext, in order.
  private static func contents(_ golden: [UInt8]) throws -> [Range<Int>] {
    var reader = SNPStreamReader(StreamInput(ArraySource(golden)), checkingSealWith: nil)
    var found: [Range<Int>] = []
    reading: while true {
      let record = try reader.next()
      let start = Int(reader.payloadOffset)
      switch record {
      case .pages(let count):
        for index in 0..<count {
          let content = start + index * SNPStreamReader.pageStride + PageMetadata.contentOffset
          found.append(content..<content + Page.size)
        }
      case .ram(.page): found.append(start..<start + Page.size)
      case .final:
        let count = reader.payload.count
        if count > Self.head { found.append(start + Self.head..<start + count) }
      case .end: break reading
      default: break
      }
    }
    return found
  }
}

/// Every golden stream, damaged everywhere. What damage is found is found without any key.
@Suite struct SweepTests {
  /// Parts of a sweep that run side by side.
  private static let parts = 0..<8

  /// All golden streams there are, and where each is damaged, by the names of their folders.
  private static let golden: [String: (bytes: [UInt8], swept: SweptPlaces)] = {
    var streams: [String: (bytes: [UInt8], swept: SweptPlaces)] = [:]
    let names = try? FileManager.default.contentsOfDirectory(atPath: Fixture.path("golden"))
    for name in names ?? [] {
      guard let bytes = try? Fixture.read("golden/\(name)/stream.mig") else { continue }
      streams[name] = (try? SweptPlaces(bytes, name)).map { (bytes, $0) }
    }
    return streams
  }()
  private static let names = golden.keys.sorted()

  /// A segment holds a chunk of the seal.
  private static let capacity = 1 << 18

  private let verifier = Lab.verifier(jobs: 1)

  private func refusal(of source: VariantSource) throws -> MigrationError? {
    try verifier.verify(StreamInput(source, capacity: Self.capacity), stopsAtFirst: true).refusal
  }

  /// The places of one part of the sweep.
  private func places(_ name: String, _ part: Int) throws -> [Int] {
    let places = try #require(Self.golden[name]).swept.places
    return stride(from: part, to: places.count, by: Self.parts.count).map { places[$0] }
  }

  @Test(
    "Every golden stream is damaged in its structure, some in all of it, and in a part of its pages"
  )
  func thereAreStreams() {
    #expect(Self.golden.count >= 10)
    for (bytes, swept) in Self.golden.values {
      let places = swept.places
      #expect(swept.sampled.count > 1000 && places.count - swept.sampled.count > 1000)
      #expect(places == Set(places).sorted() && places.last == bytes.count - 1)
    }
    for name in ["devices", "rounds", "tiny"] {
      let swept = Self.golden[name]?.swept
      #expect((swept?.places.count ?? 0) - (swept?.sampled.count ?? 0) > 10_000)
    }
  }

  @Test("No byte of a golden stream changes unseen", arguments: names, parts)
  func changesAreSeen(name: String, part: Int) throws {
    let golden = try #require(Self.golden[name]).bytes
    try #require(try refusal(of: VariantSource(golden)) == nil)
    var unseen: [Int] = []
    for place in try places(name, part) {
      // One bit, and now and then all of them.
      let mask: UInt8 = place % 9 == 8 ? 0xFF : 1 << UInt8(place % 9)
      let refusal = try refusal(of: VariantSource(golden, change: (place, mask)))
      if refusal?.offset == nil { unseen.append(place) }
    }
    #expect(unseen.isEmpty, "\(name): \(unseen.count) changes are not seen or have no place")
  }

  @Test("No golden stream is taken for whole when it is cut", arguments: names, parts)
  func cutsAreSeen(name: String, part: Int) throws {
    let golden = try #require(Self.golden[name]).bytes
    var taken: [Int] = []
    for length in try places(name, part) where length % 4 == 0 {
      if try refusal(of: VariantSource(golden, length: length)) == nil { taken.append(length) }
    }
    #expect(taken.isEmpty, "\(name): \(taken.count) beginnings are taken for a whole stream")
  }
}
