import Errors
import QEMUStream
import Testing
import Wire

/// A file in memory.
final class ArrayFile: PositionedSource {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var size: UInt64 { UInt64(bytes.count) }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw MigrationError(.readFailed, "file is shorter", at: offset)
    }
    for index in buffer.indices { buffer[index] = bytes[Int(offset) + index] }
  }

  func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    offset < size ? offset..<size : nil
  }
}

@Suite struct MappedRAMTests {
  /// A mapped-ram stream behind `prefix` bytes of something else: `pc.ram` has pages 0 and 2 of
  /// four, `pc.bios` its one; where a page is zero, stale bytes lie.
  private func file(prefix: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: prefix)
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "pc-q35-10.0", capabilities: ["mapped-ram"]))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    bytes.append(bigEndian: UInt64(0x5000) | RAMFlags.memorySize)
    for (block, bitmap) in zip(MemoryStore.blocks, [0x05, 0x01] as [UInt8]) {
      bytes.append(name: block.name)
      bytes.append(bigEndian: block.length)
      bytes.append(bigEndian: UInt32(1))
      bytes.append(bigEndian: UInt64(4096))
      let place = UInt64(bytes.count) + 16
      let pages = (place + 8 + 8191) & ~4095
      bytes.append(bigEndian: place)
      bytes.append(bigEndian: pages)
      bytes += [bitmap, 0, 0, 0, 0, 0, 0, 0]
      bytes += [UInt8](repeating: 0xDD, count: Int(pages) - bytes.count)
      for page in 0..<block.length / 4096 {
        bytes += [UInt8](repeating: UInt8(page) + 1, count: 4096)
      }
    }
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.appendEOF()
    return bytes
  }

  private func read(_ bytes: [UInt8], from prefix: Int) throws(MigrationError) -> MemoryStore {
    let file = ArrayFile(bytes)
    let input = StreamInput(
      file.source(from: UInt64(prefix)), capacity: 4096, offset: UInt64(prefix))
    var reader = QEMUStreamReader(input, file: file)
    let store = MemoryStore()
    let assembly = RAMAssembly(file: file)
    while true {
      switch try reader.next() {
      case .ram(.blockList): try assembly.begin(reader.ram, of: reader.configuration, into: store)
      case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
      case .end:
        try assembly.finish()
        for block in 0..<2 { #expect(try assembly.missingPages(of: block) == 0) }
        return store
      default: break
      }
    }
  }

  @Test(arguments: [0, 0x123, 70000])
  func aClearBitIsAZeroPageWhateverLiesThere(prefix: Int) throws {
    let store = try read(file(prefix: prefix), from: prefix)
    #expect(store.fills() == [1, 0, 3, 0])
    #expect(store.fills(1) == [1])
  }

  /// Bytes of the first header that are changed, and what is said at which byte of it.
  @Test(
    arguments: [
      (3, 2, ErrorCode.ramData, 0), (10, 0x11, .ramData, 4), (11, 1, .ramData, 4),
      (12, 0xFF, .ramData, 20), (19, 0, .ramData, 12), (27, 1, .ramData, 20),
      (20, 0xFF, .streamTruncated, nil),
      (26, 0, .ramData, 20), (21, 1, .streamTruncated, nil),
    ] as [(Int, UInt8, ErrorCode, Int?)])
  func aWrongHeaderIsRefused(place: Int, value: UInt8, code: ErrorCode, offset: Int?) throws {
    var bytes = file(prefix: 0)
    let header = try #require(bytes.firstIndex(of: 0xDD)) - 8 - 28
    bytes[header + place] = value
    let refusal = #expect(throws: MigrationError.self) { try read(bytes, from: 0) }
    #expect(refusal?.code == code)
    #expect(refusal?.offset == UInt64(offset.map { header + $0 } ?? bytes.count))
  }

  @Test func aPageRecordInSuchAStreamIsRefused() throws {
    var bytes = file(prefix: 0)
    let end = bytes.count - 1 - 5 - 8
    bytes[end + 7] = UInt8(RAMFlags.zero)
    let refusal = #expect(throws: MigrationError.self) { try read(bytes, from: 0) }
    #expect(refusal?.code == .ramFlags)
  }

  /// Cuts of every length, and flips of every byte that is not a page's, end with a code.
  @Test func damageIsRefusedOrHarmless() {
    let bytes = file(prefix: 0)
    for length in stride(from: 0, to: bytes.count, by: 37) {
      let refusal = #expect(throws: MigrationError.self) {
        try read(Array(bytes.prefix(length)), from: 0)
      }
      #expect(refusal?.code == (length == 0 ? .streamEmpty : .streamTruncated), "\(length)")
    }
    let pages = bytes.firstIndex(of: 0xDD)!..<bytes.count - 200
    for index in bytes.indices where !pages.contains(index) {
      for mask: UInt8 in [1, 0x80] {
        var damaged = bytes
        damaged[index] ^= mask
        do throws(MigrationError) {
          _ = try read(damaged, from: 0)
        } catch {
          #expect(error.code.exitStatus == 65, "\(index)")
        }
      }
    }
  }
}
