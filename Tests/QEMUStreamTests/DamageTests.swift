import Errors
import QEMUStream
import TestSupport
import Testing

/// Streams of the real QEMU, damaged: read to their end or refused with a code, in bounded time.
@Suite struct DamageTests {
  /// Memory that nobody keeps.
  private final class NoStore: RAMStore {
    func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {}

    func read(
      block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
    ) throws(MigrationError) {
      for index in buffer.indices { buffer[index] = 0 }
    }
  }

  private struct Files {
    var main: [UInt8]
    var channels: [[UInt8]] = []

    init(_ name: String) throws {
      func file(_ file: String) throws -> [UInt8] { try Fixture.read("qemu/\(name)/\(file).xz") }
      if name.contains("multifd-") {
        main = try file("main")
        channels = [try file("multifd-0"), try file("multifd-1")]
      } else {
        main = try file("stream")
      }
    }

    /// Reads everything, with the description where it is, as the tools do.
    func read() throws(MigrationError) {
      let source = ArraySource(main)
      var channels: [MultifdChannel] = []
      for (index, bytes) in self.channels.enumerated() {
        channels.append(
          try MultifdChannel(StreamInput(ArraySource(bytes), limit: 1 << 21), name: "c\(index)"))
      }
      let tail = Array(main.suffix(1 << 20))
      let range = VMDescription.locate(inTail: tail.span)
      let text = range.map { Array(tail[$0]) }
      let description = try? text.map { try VMDescription(parsing: $0) }
      let described = description.map(DescribedSections.init)
      var reader = QEMUStreamReader(StreamInput(source), description: description)
      let assembly = RAMAssembly(channels: channels)
      while true {
        switch try reader.next() {
        case .section(let header) where header.name != RAMSection.name:
          let size = try reader.requireBody()
          if let device = described?[header.key] {
            _ = try? device.body.decode(reader.input.bytes.extracting(first: size))
          }
        case .ram(.blockList):
          try assembly.begin(reader.ram, of: reader.configuration, into: NoStore())
        case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
        case .command(let command) where command.code == .postcopyRAMDiscard:
          try assembly.discard(command)
        case .end: return try assembly.finish()
        default: break
        }
      }
    }
  }

  private static let cases = [
    "pc2.0-boot", "pc72-boot-live-xbzrle", "pc72-boot-dirty-bitmaps", "pc100-boot-postcopy",
    "q35-72-boot-multifd-none", "q35-72-boot-multifd-zstd",
  ]

  /// A place in `count` bytes; more of them where structure is, at both ends.
  private func place(_ count: Int, _ generator: inout some RandomNumberGenerator) -> Int {
    switch Int.random(in: 0..<3, using: &generator) {
    case 0: Int.random(in: 0..<min(count, 512), using: &generator)
    case 1: Int.random(in: max(0, count - 120_000)..<count, using: &generator)
    default: Int.random(in: 0..<count, using: &generator)
    }
  }

  @Test(arguments: cases) func everythingIsReadWhole(name: String) throws {
    try Files(name).read()
  }

  @Test(arguments: cases) func aCutIsRefused(name: String) throws {
    let whole = try Files(name)
    var generator = Steps(seed: 11)
    for _ in 0..<24 {
      var files = whole
      files.main.removeLast(files.main.count - place(files.main.count, &generator))
      do throws(MigrationError) {
        try files.read()
        // Without footers and description nothing tells where the sections end.
        #expect(name == "pc2.0-boot")
      } catch {
        #expect(
          error.code == .streamTruncated || error.code == .streamEmpty, "\(error)")
        #expect(error.offset == UInt64(files.main.count))
      }
    }
  }

  @Test(arguments: cases) func changedBytesEndInACodeOrNothing(name: String) throws {
    let whole = try Files(name)
    var generator = Steps(seed: 12)
    for round in 0..<40 {
      var files = whole
      let channel = round % (whole.channels.count + 1)
      for _ in 0..<1 + round % 3 {
        let mask = UInt8.random(in: 1...255, using: &generator)
        if channel == 0 {
          files.main[place(files.main.count, &generator)] ^= mask
        } else {
          files.channels[channel - 1][place(whole.channels[channel - 1].count, &generator)] ^= mask
        }
      }
      do throws(MigrationError) {
        try files.read()
      } catch {
        #expect(error.code.exitStatus == 65, "\(error)")
        #expect(error.offset != nil || error.code == .vmdescriptionSyntax, "\(error)")
      }
    }
  }
}
