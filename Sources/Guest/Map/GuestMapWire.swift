package import Errors
package import Wire

// The binary form of the map (`Formats/guest-bundle.md`, section 7): a header, then `count`
// entries.
extension GuestMap {
  /// The header of a guest map, 8 bytes, big-endian.
  package struct Header: WireRecord {
    package static let name = "guest-map-header"

    /// Entries that follow, at most 4096.
    package var count: BE32
    /// Zero.
    package var reserved: BE32
  }

  /// One mapped range of a guest map, 32 bytes, big-endian.
  package struct Entry: WireRecord {
    package static let name = "guest-map-entry"

    /// Index of the RAM block.
    package var block: BE32
    /// Zero.
    package var reserved: BE32
    /// Bytes from the start of the block, 4 KiB aligned.
    package var offset: BE64
    /// Guest-physical address, 4 KiB aligned.
    package var gpa: BE64
    /// Size in bytes, a multiple of 4 KiB.
    package var size: BE64
  }

  /// Reads one map. The cursor then is at the first byte after it.
  /// - Parameter blocks: the RAM blocks in which the ranges lie.
  /// - Throws: `MAP-LAYOUT` at the entry that is refused; `STREAM-TRUNCATED`.
  package init(from cursor: inout ByteCursor, blocks: [RAMBlock]) throws(MigrationError) {
    let start = cursor.offset
    let header = try cursor.read(Header.self)
    let count = header.count.value
    guard count <= UInt32(Self.maximumCount), header.reserved.isZero else {
      throw MigrationError(
        .guestMap, "header of the guest map is not valid", at: start,
        expected: "at most \(Self.maximumCount) entries, reserved zero",
        got: "\(count), \(Hex.number(UInt64(header.reserved.value)))")
    }
    let entries = cursor.offset
    let stride = UInt64(Entry.size)
    var ranges: [MappedRange] = []
    for _ in 0..<count {
      let place = cursor.offset
      let entry = try cursor.read(Entry.self)
      guard entry.reserved.isZero else {
        throw MigrationError(
          .guestMap, "reserved bytes of a guest map entry are not zero",
          at: Entry.offset(of: \.reserved, from: place))
      }
      ranges.append(
        MappedRange(
          block: Int(entry.block.value), offset: entry.offset.value, gpa: entry.gpa.value,
          size: entry.size.value))
    }
    try self.init(ranges, blocks: blocks) { entries + UInt64($0) * stride }
  }

  /// The map in its binary form.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Header.size + ranges.count * Entry.size)
    bytes.append(
      Header(count: BE32(UInt32(truncatingIfNeeded: ranges.count)), reserved: BE32(0)))
    for range in ranges {
      bytes.append(
        Entry(
          block: BE32(UInt32(truncatingIfNeeded: range.block)), reserved: BE32(0),
          offset: BE64(range.offset), gpa: BE64(range.gpa), size: BE64(range.size)))
    }
    return bytes
  }
}
