internal import Errors
internal import Wire

/// An internal snapshot of a qcow2 image, as `savevm` makes it: an entry of the image's snapshot table
/// (QEMU `docs/interop/qcow2.rst`).
///
///     offset  size  field
///          0     8  L1 table         where it lies
///          8     4  L1 size          entries
///         12     2  id size          bytes
///         14     2  name size        bytes
///         16     8  date             seconds since 1970, nanoseconds
///         24     8  VM clock         nanoseconds
///         32     4  VM state size    bytes, where the extra data do not say it
///         36     4  extra data size  bytes
///         40        extra data: VM state size (8), disk size (8), instruction count (8), or fewer
///                   id, name, zeros up to a multiple of 8
///
/// Integers are big-endian.
package struct QCow2Snapshot: Equatable, Sendable {
  /// As QEMU gives it, a number in digits.
  package var id: String
  package var name: String
  /// Seconds since 1970.
  package var date: UInt32
  /// Nanoseconds that the guest has run.
  package var clock: UInt64
  /// Bytes of the VM state; 0 for a snapshot of the disk alone.
  package var stateSize: UInt64
  /// Bytes that the disk had; nil where the entry does not say it, and the disk has them still.
  package var diskSize: UInt64?
  /// Entries of its L1 table, and where that lies.
  var l1Size: UInt32
  var l1Offset: UInt64
  /// Where in the file the entry begins.
  package var offset: UInt64

  private struct Layout: WireRecord {
    var l1Offset: BE64
    var l1Size: BE32
    var idSize: BE16
    var nameSize: BE16
    var date: BE32
    var dateNanoseconds: BE32
    var clock: BE64
    var stateSize: BE32
    var extraSize: BE32
  }

  /// Bytes of extra data that QEMU takes at most.
  private static let extraLimit: UInt32 = 1024
  /// Bytes of a table, all of whose names are in memory and may be shown. QEMU takes more.
  private static let tableLimit: UInt64 = 4 << 20

  /// Reads the entry at the front of `input`.
  /// - Throws: `IMAGE-HEADER`, `STREAM-TRUNCATED`.
  private init(_ input: StreamInput) throws(MigrationError) {
    let start = input.offset
    try input.require(Layout.size)
    let layout = Layout(at: 0, of: input.bytes)
    input.consume(Layout.size)
    guard layout.extraSize.value <= Self.extraLimit else {
      throw MigrationError(
        .imageHeader, "extra data of a snapshot of the qcow2 image are too long",
        at: Layout.offset(of: \.extraSize, from: start),
        expected: "at most \(Self.extraLimit) bytes", got: "\(layout.extraSize.value)")
    }
    let extra = try input.readArray(Int(layout.extraSize.value))
    func number(_ index: Int) -> UInt64? {
      let end = 8 * index + 8
      return extra.count < end ? nil : UInt64(bigEndianBytes: extra[end - 8..<end])
    }
    id = String(decoding: try input.readArray(Int(layout.idSize.value)), as: UTF8.self)
    name = String(decoding: try input.readArray(Int(layout.nameSize.value)), as: UTF8.self)
    date = layout.date.value
    clock = layout.clock.value
    stateSize = number(0) ?? UInt64(layout.stateSize.value)
    diskSize = number(1)
    (l1Size, l1Offset) = (layout.l1Size.value, layout.l1Offset.value)
    offset = start
    let padding = (start &- input.offset) & 7
    // The last entry may end with the file.
    input.consume(min(try input.available(atLeast: Int(padding)), Int(padding)))
  }

  /// Reads the table of an image.
  /// - Throws: `IMAGE-HEADER`, `STREAM-TRUNCATED`; `IO-READ`.
  static func table(
    of header: QCow2Header, in file: any PositionedSource
  ) throws(MigrationError) -> [QCow2Snapshot] {
    let start = header.snapshotsOffset
    let input = StreamInput(
      file.source(from: start), capacity: 64 << 10, limit: 1 << 20,
      offset: min(start, file.size))
    var table: [QCow2Snapshot] = []
    for _ in 0..<header.snapshotCount {
      table.append(try QCow2Snapshot(input))
      guard input.offset - start <= Self.tableLimit else {
        throw MigrationError(
          .imageHeader, "table of snapshots of the qcow2 image is too long", at: start,
          expected: "at most \(Self.tableLimit) bytes")
      }
    }
    return table
  }
}
