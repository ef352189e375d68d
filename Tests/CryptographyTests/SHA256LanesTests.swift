import Cryptography
import Errors
import Foundation
import Testing

@Suite("SHA-256 of three messages at once")
struct SHA256LanesTests {
  private static let chunk = 256 << 10

  /// The digests of three messages by both engines.
  private static func check(_ messages: [[UInt8]], prefix: [UInt8]) throws {
    var digests = [UInt8](repeating: 0xA5, count: 3 * SHA256.size)
    var output = digests.mutableSpan
    let (first, second, third) = (messages[0], messages[1], messages[2])
    SHA256Lanes.hash(prefix: prefix.span, first.span, second.span, third.span, into: &output)
    let expected = try messages.flatMap { message in try SHA256.hash(prefix + message) }
    #expect(digests == expected, "\(messages[0].count) bytes after \(prefix.count)")
  }

  private static func message(_ count: Int, _ seed: UInt64) -> [UInt8] {
    var state = seed &* 2 &+ 1
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  @Test("It is available exactly where the processor has the instructions")
  func theProcessorDecides() throws {
    let words = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8).split {
      $0 == " " || $0 == "\n"
    }
    #expect(SHA256Lanes.isAvailable == (words.contains("sha_ni") && words.contains("avx2")))
  }

  @Test("Digests are libcrypto's for every length of up to six blocks, with and without a prefix")
  func shortMessagesAgree() throws {
    guard SHA256Lanes.isAvailable else { return }
    for count in 0...384 {
      let messages = (0..<3).map { Self.message(count, UInt64($0)) }
      for prefix in [[], [0], Self.message(63, 9)] { try Self.check(messages, prefix: prefix) }
    }
  }

  @Test("Digests are libcrypto's for lengths around the borders of one to four chunks")
  func longMessagesAgree() throws {
    guard SHA256Lanes.isAvailable else { return }
    let whole = (0..<3).map { Self.message(4 * Self.chunk, UInt64($0)) }
    for border in 1...4 {
      for distance in [-65, -64, -63, -9, -8, -1, 0] {
        let count = border * Self.chunk + distance
        try Self.check(whole.map { Array($0.prefix(count)) }, prefix: [0])
      }
    }
  }

  @Test("Digests are those of NIST's examples")
  func nistExamplesAgree() throws {
    guard SHA256Lanes.isAvailable else { return }
    let examples: [(String, String)] = [
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        String(repeating: "a", count: 1_000_000),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      ),
    ]
    for (text, digest) in examples {
      let message = Array(text.utf8)
      var digests = [UInt8](repeating: 0, count: 3 * SHA256.size)
      var output = digests.mutableSpan
      let prefix: [UInt8] = []
      SHA256Lanes.hash(
        prefix: prefix.span, message.span, message.span, message.span, into: &output)
      let shown = digests.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
      #expect(shown == digest + digest + digest)
    }
  }
}
