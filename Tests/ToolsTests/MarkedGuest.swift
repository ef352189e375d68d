import QEMUStream
import TestSupport
import Wire

/// A guest of a plain QEMU stream, every page of which bears its own mark.
struct MarkedGuest: Sendable, CustomStringConvertible {
  /// A piece of a RAM block and its guest-physical address; all in KiB.
  struct Piece: Sendable {
    var block: String
    var offset: UInt64
    var gpa: UInt64
    var size: UInt64

    init(_ block: String, _ offset: UInt64 = 0, at gpa: UInt64, _ size: UInt64) {
      (self.block, self.offset, self.gpa, self.size) = (block, offset, gpa, size)
    }
  }

  var description: String
  var machine = "pc-q35-7.2"
  /// In the order of the stream, sizes in KiB.
  var blocks: [(name: String, size: UInt64)]
  /// KiB that the CMOS counts below and above 4 GiB; nil for a machine without a clock chip.
  var cmos: (below: UInt64, above: UInt64)?
  /// Path, and address and size in KiB, of virtio-mem devices.
  var devices: [(path: String, gpa: UInt64, size: UInt64)] = []
  /// Where QEMU has put its memory.
  var memory: [Piece]
  /// What an import must be told.
  var options = ""

  /// A mark, and the number of a page in all blocks behind each other.
  private static let mark = Array("PLANTED-".utf8)
  private static let pageSize = 4096

  var stream: [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: machine))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    let blocks = self.blocks.map {
      QEMUStream.RAMBlock(name: SectionName(stringLiteral: $0.name), length: $0.size << 10)
    }
    let ram = RAMEncoder(blocks: blocks)
    ram.appendBlockList(to: &bytes)
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.part, id: 3))
    appendPages(to: &bytes)
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    appendDevices(to: &bytes)
    bytes.appendEOF()
    return bytes
  }

  /// Page records as QEMU writes them: the name of the block where it changes.
  private func appendPages(to bytes: inout [UInt8]) {
    var number = 0
    for block in blocks {
      for offset in stride(from: 0, to: block.size << 10, by: Self.pageSize) {
        bytes.append(bigEndian: offset | (offset == 0 ? 0x08 : 0x28))
        if offset == 0 { bytes.append(name: SectionName(stringLiteral: block.name)) }
        var mark = Self.mark
        mark.append(bigEndian: UInt64(number))
        for _ in 0..<Self.pageSize / mark.count { bytes += mark }
        number += 1
      }
    }
  }

  private func appendDevices(to bytes: inout [UInt8]) {
    func append(_ name: String, _ id: UInt32, _ body: [UInt8]) {
      bytes.append(
        SectionHeader(.full, id: id, name: SectionName(stringLiteral: name), version: 1))
      bytes += body
      bytes.append(StreamGrammar.Footer(id: id))
    }
    if let cmos {
      append("mc146818rtc", 9, CMOS.bytes(below: cmos.below << 10, above: cmos.above << 10))
    }
    // A display has a section, and firmware in flash one for each part.
    for (index, block) in blocks.enumerated() {
      if block.name.hasSuffix("vga.vram") {
        append("\(block.name.dropLast("vga.vram".count))vga", 100 + UInt32(index), [1, 2, 3])
      } else if block.name.hasPrefix("system.flash") {
        append("pflash_cfi01", 100 + UInt32(index), [1, 2, 3])
      }
    }
    for (index, device) in devices.enumerated() {
      var body: [UInt8] = []
      body.append(bigEndian: device.gpa << 10)
      body.append(bigEndian: device.size << 10)
      // Of one page a block, all of them plugged in: at most 64.
      body.append(bigEndian: UInt64(4096))
      body.append(bigEndian: UInt32(0))
      body.append(bigEndian: device.size << 10)
      body.append(bigEndian: UInt64(1) << (device.size / 4) - 1)
      append("\(device.path)/virtio-mem-device-early", 10 + UInt32(index), body)
    }
  }

  /// Whether each page can be read in `bytes`, by block and offset in KiB.
  func visible(in bytes: [UInt8]) -> [String: Bool] {
    var seen: Set<UInt64> = []
    var place = 0
    while place + 16 <= bytes.count {
      guard bytes[place] == Self.mark[0], bytes[place..<place + 8].elementsEqual(Self.mark) else {
        place += 1
        continue
      }
      seen.insert(bytes[place + 8..<place + 16].reduce(0) { $0 << 8 | UInt64($1) })
      place += 16
    }
    var found: [String: Bool] = [:]
    var number: UInt64 = 0
    for block in blocks {
      for offset in stride(from: 0, to: block.size, by: 4) {
        found["\(block.name) \(offset)"] = seen.contains(number)
        number += 1
      }
    }
    return found
  }

  /// The address in KiB of a page by its block and offset in KiB; nil for memory of a device.
  func gpa(_ block: String, _ offset: UInt64) -> UInt64? {
    memory.first {
      $0.block == block && $0.offset <= offset && offset < $0.offset + $0.size
    }.map { $0.gpa + offset - $0.offset }
  }
}
