internal import Errors
internal import QEMUStream
internal import Wire

/// Keeps the VM description consistent with the stream: one entry for each section that is
/// described, in the order in which the sections are written.
struct DescriptionMender {
  /// The VM description of an input, and the parts that it describes.
  private struct Original {
    var text: [UInt8]
    var description: VMDescription
    /// Index of the device for each part, by the part's offset.
    var devices: [UInt64: Int]
  }

  /// Largest size in bytes of a description that is kept consistent; a longer one stays as it is. The
  /// largest of a real machine has 120 KiB.
  private static let sizeLimit = 2 << 20

  private var originals: [Original?] = []
  private let spaces: [Int]
  private var devices: [VMDescription.Device] = []
  private var isKnown = true

  init(_ scene: Scene) throws(MigrationError) {
    spaces = scene.spaces
    for input in scene.inputs { originals.append(try Self.read(input)) }
  }

  private static func read(_ input: Scene.Input) throws(MigrationError) -> Original? {
    guard let part = try input.anatomy.part(.description), part.bodySize <= sizeLimit else {
      return nil
    }
    let text = try input.store.read(part.start..<part.end)
    guard
      let description = try? VMDescription(
        parsing: Array(text.dropFirst(StreamGrammar.TextHeader.size)))
    else {
      return nil
    }
    var devices: [UInt64: Int] = [:]
    try input.anatomy.visit(Set(Anatomy.Kind.allCases.filter(isDescribed))) { part in
      devices[part.start] = devices.count
      return true
    }
    guard devices.count == description.devices.count else { return nil }
    return Original(text: text, description: description, devices: devices)
  }

  private static func isDescribed(_ kind: Anatomy.Kind) -> Bool {
    switch kind {
    case .session, .map, .pagesStart, .epochsStart, .machine, .device, .final, .commit:
      true
    default: false
    }
  }

  /// Notes that a part was written.
  /// - Parameter bytes: its first bytes, at least its header.
  mutating func note(_ named: NamedPart, bodySize: UInt64, _ bytes: [UInt8]) {
    let part = named.part
    guard isKnown, Self.isDescribed(part.kind) else { return }
    guard let original = originals[spaces[named.space]], let index = original.devices[part.start]
    else {
      isKnown = false
      return
    }
    var device = original.description.devices[index]
    let end = Int(part.body - part.start) - Anatomy.HeaderEnd.size
    device.instance = bytes[\Anatomy.HeaderEnd.instance, at: end].value
    let (before, now) = (part.bodySize, bodySize)
    if before != now, let last = device.body.fields.last {
      // The size is from the text and may be any number, so the addition wraps instead of trapping.
      device.body.fields[device.body.fields.count - 1].size =
        now > before ? last.size &+ (now - before) : last.size - min(last.size, before - now)
    }
    devices.append(device)
  }

  /// The description record of what was written. A record that was edited by hand is returned
  /// unchanged.
  /// - Parameter bytes: the record after all edits.
  func text(_ bytes: [UInt8]) throws(MigrationError) -> [UInt8] {
    guard isKnown, let original = originals[0], bytes == original.text,
      devices != original.description.devices
    else { return bytes }
    var description = original.description
    description.devices = devices
    var record: [UInt8] = []
    record.append(description)
    return record
  }
}
