import JSON
import Testing
import Tools

@Suite struct RenderTests {
  @Test(arguments: [
    (UInt64(0), "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1 KiB"),
    (1 << 20, "1 MiB"), (1536, "1.5 KiB (1536 bytes)"), (3 << 30, "3 GiB"),
    (UInt64.max, "16383.9 PiB (18446744073709551615 bytes)"),
  ])
  func bytesAreSpelledWholeWhereTheyAre(count: UInt64, text: String) {
    #expect(Spelled.bytes(count) == text)
  }

  @Test(arguments: [
    ("plain text, ü and 中", "plain text, ü and 中"), ("\u{1b}[31m", "\\u{1b}[31m"),
    ("a\nb", "a\\u{a}b"), ("x\u{202e}y", "x\\u{202e}y"), ("\u{9b}1m", "\\u{9b}1m"),
  ])
  func controlCharactersOfAStrangerAreMadeVisible(text: String, shown: String) {
    #expect(RenderedText.printable(text) == shown)
  }

  @Test func aDumpLeavesOutEqualLines() {
    var bytes = [UInt8](repeating: 0, count: 80)
    bytes[0] = 0x41
    bytes[79] = 0x7F
    #expect(
      HexDump.lines(bytes, at: 0x1000) == [
        "000000001000  41 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |A...............|",
        "000000001010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|",
        "*",
        "000000001040  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 7f  |................|",
      ])
    #expect(HexDump.lines([], at: 0).isEmpty)
    #expect(
      HexDump.lines([0x20, 0x7E], at: 0xFFFF_FFFF_FFFF_FFF0)
        == ["fffffffffffffff0  20 7e                                             | ~|"])
  }
}
