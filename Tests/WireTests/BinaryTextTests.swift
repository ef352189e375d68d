import Testing
import Wire

@Suite struct BinaryTextTests {
  private static let bytes: [UInt8] = [0xFB, 0xEF, 0xFF, 0x00, 0x1A]

  @Test(arguments: [
    "fbefff001a", "FBEFFF001A", "0xfbefff001a", "0XfbEFff001a\n", " fbef ff00\r\n1a\n",
  ])
  func hexIsReadHoweverItIsWritten(text: String) {
    #expect(BinaryText(Array(text.utf8))?.bytes == Self.bytes)
    #expect(BinaryText(Array(text.utf8))?.coding == .hex)
  }

  @Test(arguments: ["++//ABo=", "++//ABo", "--__ABo=", "--__ABo", "++//\r\nABo=\r\n", " ++//ABo= "])
  func base64IsReadHoweverItIsWritten(text: String) {
    #expect(BinaryText(Array(text.utf8))?.bytes == Self.bytes)
    #expect(BinaryText(Array(text.utf8))?.coding == .base64)
  }

  @Test(arguments: [
    "", " \n", "0x", "abc!", "++//ABo==", "++//ABp=", "A", "0xfbefff001", "Zg==Zg==",
  ])
  func whatSpellsNoBytesIsNotRead(text: String) {
    #expect(BinaryText(Array(text.utf8)) == nil)
  }

  /// Rows: a file, and a part of what is said of it.
  @Test(
    arguments: [
      ("", "an empty file"), ("\u{FEFF}<!DOCTYPE html>", "HTML"), ("{\"message\":1}", "JSON: {"),
      ("00000000: 0300 0000  ....\n", "xxd -r"), ("00ff", "hex"), ("AA==", "Base64"),
      ("404 - Not Found\n<a>", "text: \"404 - Not Found\""),
    ])
  func aFileIsCalledWhatItLooksLike(text: String, said: String) {
    #expect("\(Likeness(Array(text.utf8)))".contains(said))
  }

  @Test func binaryFilesAreCalledByTheirFirstBytes() {
    #expect("\(Likeness([0xFF, 0xFE, 0x2D, 0x00]))".contains("UTF-16"))
    #expect("\(Likeness([0x30, 0x03, 0x00]))" == "3 bytes that begin with 300300")
  }
}
