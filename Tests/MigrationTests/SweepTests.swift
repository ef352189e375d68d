import Errors
import Foundation
import Guest
import Migration
import MigrationSupport
import QEMUStream
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

/// Every golden stream, damaged everywhere. What damage is found is found without any key.
@Suite struct SweepTests {
  /// A golden stream longer than this is swept in places drawn from a seed.
  private static let sweptWhole = 300_000
  private static let sampledPlaces = 20_000
  /// Parts of a sweep that run side by side.
  private static let parts = 0..<8

  /// All golden streams there are, by the names of their folders.
  private static let golden: [String: [UInt8]] = {
    var streams: [String: [UInt8]] = [:]
    let names = try? FileManager.default.contentsOfDirectory(atPath: Fixture.path("golden"))
    for name in names ?? [] {
      streams[name] = try? Fixture.read("golden/\(name)/stream.mig")
    }
    return streams
  }()
  private static let whole = golden.filter { $0.value.count < sweptWhole }.keys.sorted()
  private static let sampled = golden.filter { $0.value.count >= sweptWhole }.keys.sorted()

  /// A segment holds a chunk of the seal.
  private static let capacity = 1 << 18

  private let verifier = Lab.verifier(jobs: 1)

  private func refusal(of source: VariantSource) throws -> MigrationError? {
    try verifier.verify(StreamInput(source, capacity: Self.capacity), stopsAtFirst: true).refusal
  }

  /// Changes one bit of a byte, then all of them.
  private func sweep(_ name: String, _ places: some Sequence<Int>) throws {
    let golden = try #require(Self.golden[name])
    try #require(try refusal(of: VariantSource(golden)) == nil)
    var unseen: [Int] = []
    for place in places {
      for mask in [1 << UInt8(place & 7), 0xFF] as [UInt8] {
        let refusal = try refusal(of: VariantSource(golden, change: (place, mask)))
        if refusal?.offset == nil { unseen.append(place) }
      }
    }
    #expect(unseen.isEmpty, "\(name): \(unseen.count) changes are not seen or have no place")
  }

  @Test func thereAreStreamsOfBothKinds() {
    #expect(Self.whole.count >= 4)
    #expect(Self.sampled.count >= 4)
  }

  @Test(arguments: whole, parts)
  func noByteOfASmallGoldenStreamChangesUnseen(name: String, part: Int) throws {
    let count = try #require(Self.golden[name]).count
    try sweep(name, stride(from: part, to: count, by: Self.parts.count))
  }

  @Test(arguments: whole, parts)
  func noGoldenStreamIsWholeWhenItIsCut(name: String, part: Int) throws {
    let golden = try #require(Self.golden[name])
    var taken: [Int] = []
    for length in stride(from: part, to: golden.count, by: Self.parts.count)
    where try refusal(of: VariantSource(golden, length: length)) == nil {
      taken.append(length)
    }
    #expect(taken.isEmpty, "\(name): \(taken.count) beginnings are taken for a whole stream")
  }

  @Test(arguments: sampled, parts)
  func aSampleOfALargeGoldenStreamDoesNotChangeUnseen(name: String, part: Int) throws {
    let count = try #require(Self.golden[name]).count
    var generator = SeededGenerator(UInt64(part))
    let places = (0..<Self.sampledPlaces / Self.parts.count).map { _ in
      Int.random(in: 0..<count, using: &generator)
    }
    try sweep(name, places)
    let golden = try #require(Self.golden[name])
    for length in places.prefix(200) {
      #expect(try refusal(of: VariantSource(golden, length: length)) != nil, "\(length)")
    }
  }
}
