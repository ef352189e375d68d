import Cryptography
import Errors
import Testing

extension DigestAlgorithm {
  /// The function a vector names.
  init?(named name: String) {
    switch name {
    case "sha256": self = .sha256
    case "sha384": self = .sha384
    case "sha512": self = .sha512
    default: return nil
    }
  }
}

@Suite struct DigestTests {
  struct Row: Decodable, Sendable, CustomTestStringConvertible {
    let source, algorithm: String
    let msg, md: HexBytes

    var testDescription: String { source }
  }

  @Test(arguments: try vectors("sha2.json", of: Row.self))
  func aPublishedMessageHasItsDigest(row: Row) throws {
    let algorithm = try #require(DigestAlgorithm(named: row.algorithm))
    #expect(try algorithm.hash(row.msg.bytes) == row.md.bytes)
    #expect(algorithm.size == row.md.bytes.count)
  }

  @Test(arguments: [0, 1, 63, 64, 65, 111, 112, 127, 128, 129, 200])
  func piecesDigestAsTheWhole(cut: Int) throws {
    let message = (0..<200).map { UInt8($0) }
    var digest = try SHA384()
    try digest.update(Array(message[..<cut]))
    try digest.update(message.span.extracting(droppingFirst: cut))
    let whole = try SHA384.hash(message)
    #expect(try digest.finish() == whole)
  }

  @Test func aSnapshotLeavesTheDigestRunning() throws {
    var digest = try SHA256()
    try digest.update([1, 2])
    let first = try digest.snapshot()
    let again = try digest.snapshot()
    try digest.update([3])
    let second = try digest.snapshot()
    let last = try digest.finish()
    #expect(first == (try SHA256.hash([1, 2])))
    #expect(again == first)
    #expect(second == (try SHA256.hash([1, 2, 3])))
    #expect(last == second)
  }

  @Test func finishingBeginsTheNextDigest() throws {
    var digest = try SHA512()
    try digest.update([1])
    let one = try digest.finish()
    try digest.update([2])
    let two = try digest.finish()
    let none = try digest.finish()
    #expect(one == (try SHA512.hash([1])))
    #expect(two == (try SHA512.hash([2])))
    #expect(none == (try SHA512.hash([])))
  }

  @Test func resettingDropsWhatWasAdded() throws {
    var digest = try SHA384()
    try digest.update([1, 2, 3])
    try digest.reset()
    try digest.update([4])
    let left = try digest.finish()
    #expect(left == (try SHA384.hash([4])))
  }

  @Test func aDigestIsWrittenWhereAskedAndNowhereElse() throws {
    var digest = try SHA256()
    try digest.update([7])
    var output = [UInt8](repeating: 0xEE, count: 40)
    var span = output.mutableSpan
    try digest.finish(into: &span, at: 4)
    let expected = try SHA256.hash([7])
    #expect(output == [0xEE, 0xEE, 0xEE, 0xEE] + expected + [0xEE, 0xEE, 0xEE, 0xEE])
  }

  @Test(arguments: [-1, 9, 40, 41, Int.max])
  func aPlaceWithoutRoomIsRefused(offset: Int) throws {
    var digest = try SHA256()
    var output = [UInt8](repeating: 0xEE, count: 40)
    var refusal: MigrationError?
    do {
      var span = output.mutableSpan
      try digest.finish(into: &span, at: offset)
    } catch {
      refusal = error
    }
    #expect(refusal?.code == .cryptography)
    #expect(output == [UInt8](repeating: 0xEE, count: 40))
  }
}
