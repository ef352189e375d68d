internal import Errors
internal import Wire

/// An internal snapshot of a qcow2 image, as `savevm` makes it: one entry of the image's snapshot
/// table (QEMU `docs/interop/qcow2.rst`).
///
///     offset  size  field
///          0     8  L1 table         file offset
///          8     4  L1 size          entries
///         12     2  id size          bytes
///         14     2  name size        bytes
///         16     8  date             seconds since 1970, nanoseconds
///         24     8  VM clock         nanoseconds
///         32     4  VM state size    bytes, if the extra data do not give it
///         36     4  extra data size  bytes
///         40        extra data: VM state size (8), disk size (8), instruction count (8), or fewer
///                   id, name, zeros up to a multiple of 8
///
/// Integers are big-endian.
package struct QCow2Snapshot: Equatable, Sendable {
  /// Id of the snapshot, which QEMU makes of decimal digits.
  package var id: String
  package var name: String
  /// Date in seconds since 1970.
  package var date: UInt32
  /// Time that the guest has run, in nanoseconds.
  package var clock: UInt64
  /// Size of the VM state in bytes; 0 for a snapshot of the disk alone.
  package var stateSize: UInt64
  /// Size that the disk had, in bytes; nil when the entry does not give it, and the disk still has
  /// that size.
  package var diskSize: UInt64?
  /// Number of entries of the snapshot's L1 table, and the table's file offset.
  var l1Size: UInt32
  var l1Offset: UInt64
  /// File offset of the entry.
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

  /// Most bytes of extra data that QEMU accepts.
  private static let extraLimit: UInt32 = 1024
  /// Largest size of the table in bytes: all names are in memory, and may be printed. QEMU accepts a larger
  /// table.
  private static let tableLimit: UInt64 = 4 << 20

  /// Reads the entry at the front of `input`, with its padding.
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
    guard id.isStreamSafe, name.isStreamSafe else {
      throw MigrationError(
        .imageHeader, "name of a snapshot has more than 30 combining marks in a row", at: start)
    }
    date = layout.date.value
    clock = layout.clock.value
    stateSize = number(0) ?? UInt64(layout.stateSize.value)
    diskSize = number(1)
    (l1Size, l1Offset) = (layout.l1Size.value, layout.l1Offset.value)
    offset = start
    let padding = (start &- input.offset) & 7
    // The file may end with the last entry, before its padding.
    input.consume(min(try input.available(atLeast: Int(padding)), Int(padding)))
  }

  /// Reads the snapshot table of an image.
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
