internal import Errors
internal import Wire

/// The memory of a virtio-mem device, from the device's section (QEMU `hw/virtio/virtio-mem.c`):
/// its address, and its blocks that are plugged in. Memory that is not plugged in is not sent, and
/// is zero.
///
/// The section `PATH/virtio-mem-device-early`, of QEMU 8 and later, has these fields, all
/// big-endian:
///
///     offset  size  field
///          0     8  addr         guest-physical address
///          8     8  region_size  bytes of the RAM block
///         16     8  block_size   bytes of one block of the device: a power of two
///         24     4  node
///         28     8  size         bytes that are plugged in
///         36     n  bitmap       a bit for each block, in words of 8 bytes, the lowest first
///
/// The section `PATH/virtio-mem` of older versions has the same fields after those of the
/// transport, whose length is unknown; it has 8 bytes of usable_region_size before `size`, and 8
/// bytes of requested_size after it.
package struct PluggedMemory: Equatable, Sendable {
  /// Limit of guest-physical addresses.
  private static let addressLimit: UInt64 = 1 << 52

  /// Ranges of all devices of a stream that are kept; of a device with more nothing is known.
  static let rangeLimit = 1 << 18
  /// Places of a section that may be the record, by the length there.
  private static let placeLimit = 64

  /// Guest-physical address of the RAM block's first byte.
  package let gpa: UInt64
  /// Size of the RAM block in bytes.
  package let length: UInt64
  /// Ranges of the RAM block in bytes that are plugged in, in order and not adjacent.
  package private(set) var plugged: [Range<UInt64>] = []

  /// Finds the fields of a device.
  /// - Parameters:
  ///   - lengths: bytes of each RAM block that may be the device's.
  ///   - ranges: most plugged ranges that are kept.
  /// - Returns: nil when the section has no such fields, when they are out of range, or when there are more
  ///   ranges than are kept.
  package init?(_ section: Section, lengths: Set<UInt64>, ranges: Int = Self.rangeLimit) {
    let body = section.body.span
    if section.isEarly {
      self.init(body, at: 0, sizeAt: 28, bitmapAt: 36, lengths: lengths, ranges: ranges)
      return
    }
    var found: PluggedMemory?
    var place = 0
    var places = 0
    while place + 60 <= body.count {
      // The length rules out most positions before the other fields are read. The number of positions that
      // it does not rule out is limited: a body that consists of such records could be read many times.
      if lengths.contains(Self.number(body, place + 8)) {
        places += 1
        guard places <= Self.placeLimit else { return nil }
        if let memory = PluggedMemory(
          body, at: place, sizeAt: 36, bitmapAt: 52, lengths: lengths, ranges: ranges)
        {
          if found != nil { return nil }
          found = memory
        }
      }
      place += 1
    }
    guard let found else { return nil }
    self = found
  }

  private init?(
    _ body: Span<UInt8>, at start: Int, sizeAt: Int, bitmapAt: Int, lengths: Set<UInt64>,
    ranges: Int
  ) {
    guard body.count - start >= bitmapAt else { return nil }
    let length = Self.number(body, start + 8)
    let blockSize = Self.number(body, start + 16)
    let size = Self.number(body, start + sizeAt)
    guard lengths.contains(length), blockSize >= Page.size64,
      blockSize & (blockSize - 1) == 0, length & (blockSize - 1) == 0, size <= length
    else { return nil }
    (gpa, self.length) = (Self.number(body, start), length)
    guard gpa & (Page.size64 - 1) == 0, length <= Self.addressLimit,
      gpa <= Self.addressLimit - length
    else { return nil }
    let (blocks, room) = (length / blockSize, UInt64(body.count - start - bitmapAt) / 8)
    guard (blocks + 63) / 64 <= room else { return nil }
    let bitmap = start + bitmapAt
    guard Self.count(body, at: bitmap, blocks) * blockSize == size,
      takeRanges(body, at: bitmap, blocks, of: blockSize, limit: ranges)
    else { return nil }
  }

  /// Blocks that are plugged in.
  private static func count(_ body: Span<UInt8>, at bitmap: Int, _ blocks: UInt64) -> UInt64 {
    var count: UInt64 = 0
    for index in 0..<Int(blocks / 64) {
      count += UInt64(number(body, bitmap + 8 * index).nonzeroBitCount)
    }
    guard blocks % 64 > 0 else { return count }
    let last = number(body, bitmap + 8 * Int(blocks / 64))
    return count + UInt64((last & (1 << (blocks % 64) - 1)).nonzeroBitCount)
  }

  /// - Returns: false when there are more than `limit`.
  private mutating func takeRanges(
    _ body: Span<UInt8>, at bitmap: Int, _ blocks: UInt64, of size: UInt64, limit: Int
  ) -> Bool {
    // The first block of the range that goes on.
    var first: UInt64?
    for index in 0..<(blocks + 63) / 64 {
      let word = Self.number(body, bitmap + Int(8 * index))
      if word == (first == nil ? 0 : .max) { continue }
      for block in index * 64..<min(index * 64 + 64, blocks)
      where (word >> (block % 64) & 1 == 1) != (first != nil) {
        guard let start = first else {
          first = block
          continue
        }
        guard plugged.count < limit else { return false }
        plugged.append(start * size..<block * size)
        first = nil
      }
    }
    guard let first else { return true }
    plugged.append(first * size..<blocks * size)
    return plugged.count <= limit
  }

  private static func number(_ bytes: Span<UInt8>, _ place: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in place..<place + 8 { value = value << 8 | UInt64(bytes[index]) }
    return value
  }

  /// Ranges of the RAM block in bytes that are not plugged in.
  package var unplugged: [Range<UInt64>] {
    var found: [Range<UInt64>] = []
    var start: UInt64 = 0
    for range in plugged {
      if start < range.lowerBound { found.append(start..<range.lowerBound) }
      start = range.upperBound
    }
    if start < length { found.append(start..<length) }
    return found
  }
}

extension PluggedMemory {
  /// A section of a virtio-mem device.
  package struct Section: Equatable, Sendable {
    /// Path of the device; its RAM block has the name `PATH/ID`.
    package let path: String
    package let isEarly: Bool
    package let body: [UInt8]

    /// - Returns: nil for any other section.
    package init?(_ header: SectionHeader, body: [UInt8]) {
      guard let (path, isEarly) = Self.device(header) else { return nil }
      (self.path, self.isEarly, self.body) = (path, isEarly, body)
    }

    /// Whether the section is one of a virtio-mem device.
    package static func isDevice(_ header: SectionHeader) -> Bool { device(header) != nil }

    /// The path of the device whose section has this header, and whether it is the early section.
    static func device(_ header: SectionHeader) -> (path: String, isEarly: Bool)? {
      guard header.kind == .full else { return nil }
      let name = "\(header.name)"
      for (suffix, isEarly) in [("/virtio-mem-device-early", true), ("/virtio-mem", false)]
      where name.hasSuffix(suffix) {
        return (String(name.dropLast(suffix.count)), isEarly)
      }
      return nil
    }
  }
}

/// The sections of virtio-mem devices, kept as they are read.
package struct PluggedSections: Sendable {
  /// Most bytes kept, over all bodies.
  private static let limit = 16 << 20

  private var sections: [String: PluggedMemory.Section] = [:]
  private var size = 0

  package init() {}

  /// Keeps a section. The early section of a device is sufficient; sections above the limit are not
  /// kept.
  package mutating func take(_ section: PluggedMemory.Section) {
    if sections[section.path]?.isEarly == true || section.body.count > Self.limit - size { return }
    size += section.body.count
    sections[section.path] = section
  }

  /// The RAM blocks whose names begin with the path of a device, by their place in `blocks`, and the
  /// memory of the device for the one that is its own.
  ///
  /// A device has one RAM block: the one whose length its section says. Of two that fit none is
  /// taken. So a section is read once, and the limit of ranges is one for all blocks.
  package func memories(
    of blocks: [(name: String, length: UInt64)]
  ) -> [(block: Int, memory: PluggedMemory?)] {
    var candidates: [String: [Int]] = [:]
    for (index, block) in blocks.enumerated() {
      guard let end = block.name.lastIndex(of: "/") else { continue }
      candidates[String(block.name[..<end]), default: []].append(index)
    }
    var memories: [(block: Int, memory: PluggedMemory?)] = []
    for (path, section) in sections {
      guard let indices = candidates[path] else { continue }
      let lengths = Set(indices.map { blocks[$0].length })
      let found = PluggedMemory(
        section, lengths: lengths, ranges: PluggedMemory.rangeLimit / sections.count)
      let fitting = indices.filter { blocks[$0].length == found?.length }
      for index in indices {
        memories.append((block: index, memory: fitting == [index] ? found : nil))
      }
    }
    return memories
  }
}
