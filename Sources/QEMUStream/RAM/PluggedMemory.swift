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

  /// Guest-physical address of the RAM block's first byte.
  package let gpa: UInt64
  /// Size of the RAM block in bytes.
  package let length: UInt64
  /// Ranges of the RAM block in bytes that are plugged in, in order and not adjacent.
  package private(set) var plugged: [Range<UInt64>] = []

  /// Finds the fields of a device whose RAM block has `length` bytes.
  /// - Returns: nil when the section has no such fields, or they are out of range.
  package init?(_ section: Section, length: UInt64) {
    let body = section.body.span
    if section.isEarly {
      self.init(body, at: 0, sizeAt: 28, bitmapAt: 36, length: length)
      return
    }
    var found: PluggedMemory?
    var place = 0
    while place + 60 <= body.count {
      // The length rules out most positions before the other fields are read.
      if Self.number(body, place + 8) == length,
        let memory = PluggedMemory(body, at: place, sizeAt: 36, bitmapAt: 52, length: length)
      {
        if found != nil { return nil }
        found = memory
      }
      place += 1
    }
    guard let found else { return nil }
    self = found
  }

  private init?(
    _ body: Span<UInt8>, at start: Int, sizeAt: Int, bitmapAt: Int, length: UInt64
  ) {
    guard body.count - start >= bitmapAt else { return nil }
    let blockSize = Self.number(body, start + 16)
    let size = Self.number(body, start + sizeAt)
    guard Self.number(body, start + 8) == length, blockSize >= Page.size64,
      blockSize & (blockSize - 1) == 0, length & (blockSize - 1) == 0, size <= length
    else { return nil }
    (gpa, self.length) = (Self.number(body, start), length)
    guard gpa & (Page.size64 - 1) == 0, length <= Self.addressLimit,
      gpa <= Self.addressLimit - length
    else { return nil }
    let (blocks, room) = (length / blockSize, UInt64(body.count - start - bitmapAt) / 8)
    guard (blocks + 63) / 64 <= room else { return nil }
    var count: UInt64 = 0
    for block in 0..<blocks {
      let word = Self.number(body, start + bitmapAt + Int(block / 64) * 8)
      guard word >> (block % 64) & 1 == 1 else { continue }
      count += 1
      let range = block * blockSize..<(block + 1) * blockSize
      if let last = plugged.last, last.upperBound == range.lowerBound {
        plugged[plugged.count - 1] = last.lowerBound..<range.upperBound
      } else {
        plugged.append(range)
      }
    }
    guard count * blockSize == size else { return nil }
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

  /// The paths of all devices.
  package var paths: some Sequence<String> { sections.keys }

  /// Keeps a section. The early section of a device is sufficient; sections above the limit are not
  /// kept.
  package mutating func take(_ section: PluggedMemory.Section) {
    if sections[section.path]?.isEarly == true || section.body.count > Self.limit - size { return }
    size += section.body.count
    sections[section.path] = section
  }

  /// The memory of the device that a RAM block belongs to; nil for other blocks, and for a device
  /// without usable fields.
  package func memory(ofBlock name: String, length: UInt64) -> PluggedMemory? {
    guard let end = name.lastIndex(of: "/"), let section = sections[String(name[..<end])] else {
      return nil
    }
    return PluggedMemory(section, length: length)
  }
}
