internal import Cryptography
internal import JSON
internal import QEMUStream

/// The internal snapshots of a qcow2 image, as text and as JSON.
struct SnapshotList {
  private let snapshots: [QCow2Snapshot]

  init(_ snapshots: [QCow2Snapshot]) { self.snapshots = snapshots }

  /// One line for each snapshot, below the names of the columns.
  var text: String {
    var rows = [["ID", "NAME", "DATE", "VM CLOCK", "VM STATE"]]
    rows += snapshots.map { snapshot in
      [
        snapshot.id, snapshot.name, Self.date(snapshot), Self.clock(snapshot),
        snapshot.stateSize == 0 ? "none" : Spelled.bytes(snapshot.stateSize),
      ]
    }
    var out = RenderedText()
    out.table(rows, indent: 0)
    return out.text
  }

  /// The document `svsm-migration/snapshots/1` (`Formats/json.md`).
  var json: JSON {
    .object([
      .init("schema", "svsm-migration/snapshots/1"),
      .init("snapshots", .array(snapshots.map { .object(Self.members(of: $0)) })),
    ])
  }

  static func members(of snapshot: QCow2Snapshot) -> [JSON.Member] {
    [
      .init("id", .string(snapshot.id)), .init("name", .string(snapshot.name)),
      .init("date", .string(date(snapshot))), .init("clock", JSON(snapshot.clock)),
      .init("stateSize", JSON(snapshot.stateSize)),
    ]
  }

  /// The date of the snapshot, in UTC.
  private static func date(_ snapshot: QCow2Snapshot) -> String {
    CivilDate.text(Int64(snapshot.date))
  }

  /// The VM clock in hours, minutes, seconds and milliseconds.
  private static func clock(_ snapshot: QCow2Snapshot) -> String {
    func digits(_ value: UInt64, _ count: Int) -> String {
      let text = "\(value)"
      return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    let total = snapshot.clock / 1_000_000
    return digits(total / 3_600_000, 4) + ":" + digits(total / 60_000 % 60, 2) + ":"
      + digits(total / 1000 % 60, 2) + "." + digits(total % 1000, 3)
  }
}
