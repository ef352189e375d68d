import Testing
import Wire

/// Text of others whose comparison would take time with the square of its length is told apart.
@Suite struct StreamSafeTextTests {
  private static let bytes: [UInt8] = [0xCC, 0x80, 0xCC, 0x96]

  private static func marks(_ pairs: Int, _ start: String = "a") -> [UInt8] {
    Array(start.utf8) + (0..<pairs).flatMap { _ in bytes }
  }

  @Test func thirtyMarksMayFollowEachOther() {
    #expect(String(streamSafe: Self.marks(15)) != nil)
    #expect(String(streamSafe: Self.marks(15) + [0x61] + Self.marks(15)) != nil)
    #expect(String(streamSafe: Self.marks(15, "\u{0E01}")) != nil)
    #expect(String(streamSafe: Self.marks(15) + [0xCC, 0x80]) == nil)
    #expect(String(streamSafe: Self.marks(400_000)) == nil)
    // U+0F73 counts as no mark by its class of order, and stands for two.
    #expect(String(streamSafe: Array(String(repeating: "\u{0F73}", count: 31).utf8)) == nil)
    #expect(String(streamSafe: [0x61, 0xFF]) == nil)
  }

  @Test(
    "Text of a script that has many marks is accepted",
    arguments: ["नमस्ते", "ภาษาไทย", "Việt", "한국어", "e\u{301}\u{323}"])
  func textIsAccepted(text: String) {
    #expect(String(streamSafe: Array(text.utf8)).map { Array($0.utf8) } == Array(text.utf8))
  }
}
