internal import Errors
internal import FileIO
internal import Inspection
internal import JSON
internal import Wire

// What is compared when all that both sides tell of the guest has been.

extension Comparison {
  /// Compares the VM descriptions of two sides of one form: those of each device that both sides have, and the
  /// whole texts.
  /// - Throws: `IO-READ`.
  func compareDescriptions() throws(MigrationError) {
    guard isSameForm else { return }
    let isOtherMachine = before.machine != after.machine
    // Sections of other lengths in an SNP stream are described otherwise.
    let isOtherStream = before.form == .snp && (!isEqual || ignored > 0)
    let isTold = try compareDevicesDescriptions(isOtherMachine)
    for text in before.descriptions {
      guard let twin = after.descriptions.first(where: { $0.name == text.name }) else {
        notes.note(Difference(area: .description, name: text.name, change: .removed))
        continue
      }
      let follows = isOtherMachine || isTold || isOtherStream && text.name.isEmpty
      if text.hash != twin.hash { tell(text, twin, follows ? .derived : nil) }
    }
    for text in after.descriptions
    where !before.descriptions.contains(where: { $0.name == text.name }) {
      notes.note(Difference(area: .description, name: text.name, change: .added))
    }
  }

  /// - Returns: whether any of them differs.
  private func compareDevicesDescriptions(_ isOtherMachine: Bool) throws(MigrationError) -> Bool {
    var isTold = false
    for key in before.devices.keys {
      guard let text = try before.devices.description(key),
        let twin = try after.devices.description(key), text != twin,
        max(text.count, twin.count) <= DescriptionFacts.textLimit,
        let value = try? JSON(parsing: text), let now = try? JSON(parsing: twin)
      else { continue }
      isTold = true
      let isOther = try before.devices.body(key) != after.devices.body(key)
      tell(key, value, now, isOtherMachine || isOther ? .derived : nil)
    }
    return isTold
  }

  /// Tells that two whole texts differ, and where that stands for itself, in what.
  private func tell(_ text: DescriptionFacts, _ twin: DescriptionFacts, _ cause: Cause?) {
    func note(_ field: String, _ change: Difference.Change, _ cause: Cause?) {
      notes.note(
        Difference(
          area: .description, name: text.name, field: field, change: change, cause: cause))
    }
    var cause = cause
    if cause == nil, let value = try? JSON(parsing: text.text),
      let now = try? JSON(parsing: twin.text), value != now
    {
      ValueComparison { note($0, $1, nil) }.compare(value, now)
      cause = .derived
    }
    if text.size != twin.size {
      note("size", .init(JSON(text.size), JSON(twin.size)), cause)
    }
    note("sha256", .init(.hex(bytes: text.hash), .hex(bytes: twin.hash)), cause)
  }

  private func tell(_ key: MachineDevices.Key, _ value: JSON, _ now: JSON, _ cause: Cause?) {
    // The text of a device is a whole description with nothing else in it.
    let start = "devices[0]."
    let notes = notes
    ValueComparison { path, change in
      let field = path.hasPrefix(start) ? String(path.dropFirst(start.count)) : path
      notes.note(
        Difference(
          area: .description, name: key.shown, field: field, change: change, cause: cause))
    }.compare(value, now)
  }

  /// Compares the files where nothing else differs: an earlier content of a page, an order or a signature can
  /// be other bytes than all facts tell of.
  /// - Throws: `IO-READ`.
  func compareBytes() throws(MigrationError) {
    guard isEqual, ignored == 0, isSameForm, let one = before.file, let other = after.file,
      let first = try FileBytes.firstDifference(one, other)
    else { return }
    notes.note(
      Difference(
        area: .file, name: "", field: "bytes from \(Hex.number(first)) on",
        change: .init(
          .hex(bytes: try FileBytes.excerpt(one, at: first)),
          .hex(bytes: try FileBytes.excerpt(other, at: first)))))
  }
}

/// The text of a VM description.
struct DescriptionFacts {
  /// Longest text of which it is told what differs, in bytes.
  static let textLimit = 256 << 10

  /// Empty for that of the side; "machine" for that of the machine in an SNP stream.
  let name: String
  /// In bytes.
  let size: Int
  let hash: [UInt8]
  /// The text in short; empty for a long one.
  let text: [UInt8]

  /// - Parameter text: makes the text where it is not too long.
  init(_ name: String, size: Int, hash: [UInt8], text: @autoclosure () -> [UInt8]) {
    (self.name, self.size, self.hash) = (name, size, hash)
    self.text = size <= Self.textLimit ? text() : []
  }
}
