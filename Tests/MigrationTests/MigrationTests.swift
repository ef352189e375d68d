import Guest
import Migration
import MigrationSupport
import QEMUStream
import SVSM
import TestSupport
import Testing

@Suite struct WholeMigrationTests {
  @Test(arguments: ["none", "0x0-0x7ffff", "all"])
  func memoryComesBackByteForByte(isPrivate: String) throws {
    let scratch = try Scratch()
    var memory = [UInt8](repeating: 0, count: 1 << 20)
    for index in memory.indices where index % 12288 < 4096 {
      memory[index] = UInt8(truncatingIfNeeded: index &* 31 >> 3)
    }
    try scratch.write("ram", memory)
    var options = RawImageOptions()
    options.privateRanges = try GPARangeSet(parsing: isPrivate)
    let guest = try GuestReader(rawImage: scratch["ram"], options)
    let destination = try Lab.instance(1)
    let stream = try Lab.save(guest, to: destination)
    try Lab.load(stream, for: destination, to: scratch["out"])
    #expect(try scratch.read("out/ram-0.bin") == memory)
    let verifier = Lab.verifier()
    #expect(try verifier.verify(StreamInput(ArraySource(stream))).refusal == nil)
    #expect(try verifier.verify(StreamInput(ArraySource(stream)), for: destination).refusal == nil)
  }
}
