package import Errors
package import Wire

// The map on the wire, big-endian: a header, then `count` entries.
extension GuestMap {
  ///     offset  size  field
  ///          0     4  count      entries that follow, at most 4096
  ///          4     4  reserved   zero
  package static let headerLayout = RecordLayout("guest-map-header", ["count": 4, "reserved": 4])

  ///     offset  size  field
  ///          0     4  block      index of the RAM block
  ///          4     4  reserved   zero
  ///          8     8  offset     bytes from the start of the block, 4 KiB aligned
  ///         16     8  gpa        guest-physical address, 4 KiB aligned
  ///         24     8  size       bytes, a multiple of 4 KiB
  package static let entryLayout = RecordLayout(
    "guest-map-entry", ["block": 4, "reserved": 4, "offset": 8, "gpa": 8, "size": 8])

  /// Reads one map. Bytes behind it are left to the caller.
  /// - Parameter blocks: what the ranges lie in.
  /// - Throws: `MAP-LAYOUT` at the entry that is refused; `STREAM-TRUNCATED`.
  package init(from cursor: inout ByteCursor, blocks: [RAMBlock]) throws(MigrationError) {
    let start = cursor.offset
    let count = try cursor.read(UInt32.self)
    let reserved = try cursor.read(UInt32.self)
    guard count <= UInt32(Self.maximumCount), reserved == 0 else {
      throw MigrationError(
        .guestMap, "header of the guest map is not valid", at: start,
        expected: "at most \(Self.maximumCount) entries, reserved zero",
        got: "\(count), \(hex(UInt64(reserved)))")
    }
    let entries = cursor.offset
    let stride = UInt64(Self.entryLayout.size)
    var ranges: [MappedRange] = []
    for index in 0..<UInt64(count) {
      let block = try cursor.read(UInt32.self)
      guard try cursor.read(UInt32.self) == 0 else {
        throw MigrationError(
          .guestMap, "reserved bytes of a guest map entry are not zero",
          at: entries + index * stride + 4)
      }
      ranges.append(
        MappedRange(
          block: Int(block), offset: try cursor.read(), gpa: try cursor.read(),
          size: try cursor.read()))
    }
    try self.init(ranges, blocks: blocks) { entries + UInt64($0) * stride }
  }

  /// The map on the wire.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerLayout.size + ranges.count * Self.entryLayout.size)
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: ranges.count))
    bytes.append(bigEndian: UInt32(0))
    for range in ranges {
      bytes.append(bigEndian: UInt32(truncatingIfNeeded: range.block))
      bytes.append(bigEndian: UInt32(0))
      bytes.append(bigEndian: range.offset)
      bytes.append(bigEndian: range.gpa)
      bytes.append(bigEndian: range.size)
    }
    return bytes
  }
}
