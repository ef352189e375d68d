package import Errors
internal import Wire

/// The internal snapshots of a qcow2 image. The disk in the image is not read.
package struct QCow2Image {
  private let file: any PositionedSource
  private let header: QCow2Header
  /// In the order of the image's table.
  package let snapshots: [QCow2Snapshot]

  /// Reads the header and the table of snapshots.
  /// - Throws: `IMAGE-HEADER` when they are not well formed or not supported; `STREAM-TRUNCATED`;
  ///   `IO-READ`.
  package init(_ file: any PositionedSource) throws(MigrationError) {
    self.file = file
    header = try QCow2Header(file)
    snapshots = try QCow2Snapshot.table(of: header, in: file)
  }

  /// Most names of snapshots that a message shows.
  private static let nameLimit = 8

  /// The snapshots with VM state, for a message.
  package var summary: String {
    let saved = snapshots.filter { $0.stateSize > 0 }
    let names = saved.prefix(Self.nameLimit).map { "\($0.id) (\($0.name))" }
    let more = saved.count - names.count
    return saved.isEmpty
      ? "none with VM state"
      : names.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
  }

  /// The snapshot with the given name or, if there is none, with the given id. QEMU's `loadvm` uses
  /// the same order.
  /// - Throws: `IMAGE-SNAPSHOT` when there is none, or when several have the name.
  package func snapshot(_ wanted: String) throws(MigrationError) -> QCow2Snapshot {
    var found = snapshots.filter { $0.name == wanted }
    if found.isEmpty { found = snapshots.filter { $0.id == wanted } }
    guard let snapshot = found.first else {
      throw MigrationError(
        .imageSnapshot, "the image has no such snapshot", at: header.snapshotsOffset,
        expected: summary, got: wanted)
    }
    guard found.count == 1 else {
      throw MigrationError(
        .imageSnapshot, "several snapshots of the image have this name", at: snapshot.offset,
        expected: "the id of one: "
          + found.prefix(Self.nameLimit).map(\.id).joined(separator: ", "),
        got: wanted)
    }
    return snapshot
  }

  /// The VM state of a snapshot: the migration stream that `savevm` wrote.
  ///
  /// All tables that map the VM state are read once.
  /// - Throws: `IMAGE-SNAPSHOT` for a snapshot of the disk alone; `IMAGE-FORMAT` for an image that
  ///   is encrypted or has an external data file; `IMAGE-HEADER`, `IMAGE-DATA` for tables that are
  ///   not well formed; `IO-READ`.
  package func state(of snapshot: QCow2Snapshot) throws(MigrationError) -> QCow2State {
    guard snapshot.stateSize > 0 else {
      throw MigrationError(
        .imageSnapshot, "the snapshot has no VM state", at: snapshot.offset,
        expected: "one with VM state: \(summary)", got: "\(snapshot.id) (\(snapshot.name))")
    }
    guard !header.isEncrypted, !header.hasExternalData else {
      throw MigrationError(
        .imageFormat, "VM state is not read of this image", at: 0,
        expected: "a qcow2 image that is not encrypted and holds its own data")
    }
    let map = try QCow2ClusterMap(header, snapshot, in: file)
    try map.survey()
    return QCow2State(map, in: file, size: snapshot.stateSize)
  }
}
