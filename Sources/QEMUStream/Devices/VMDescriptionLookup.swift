internal import Errors

/// The sections of a description by idstr and instance. An index is needed because a description
/// may have tens of thousands of sections, and each is looked up.
package struct DescribedSections: Sendable {
  private struct Place: Hashable {
    var key: SectionKey
    var repetition: Int
  }

  private let devices: [VMDescription.Device]
  /// Sizes of their bodies: a section may come in any number of parts, each of which is as long.
  private let sizes: [Int?]
  /// Index in `devices` of each section; sections that share a name are numbered.
  private let places: [Place: Int]

  package init(_ description: VMDescription) {
    devices = description.devices
    sizes = devices.map(\.body.size)
    var places: [Place: Int] = [:]
    var counts: [SectionKey: Int] = [:]
    for (index, device) in devices.enumerated() {
      guard let name = SectionName(device.name) else { continue }
      let key = SectionKey(name: name, instance: device.instance)
      let repetition = counts[key, default: 0]
      counts[key] = repetition + 1
      places[Place(key: key, repetition: repetition)] = index
    }
    self.places = places
  }

  /// The description of a section; nil when there is none, or when it is unreadable.
  package subscript(section: SectionHeader) -> VMDescription.Device? {
    self[section.key, section.repetition]
  }

  /// The description by the name of the section and the number of earlier sections of that name.
  package subscript(section: SectionKey, repetition: Int = 0) -> VMDescription.Device? {
    place(section, repetition).map { devices[$0] }
  }

  /// Size of a section's body in bytes, as described; nil without a description.
  /// - Parameter start: stream offset of the body, for errors.
  /// - Throws: `VMDESC-SYNTAX` for a size out of range.
  func size(of section: SectionHeader, at start: UInt64) throws(MigrationError) -> Int? {
    guard let place = place(section.key, section.repetition) else { return nil }
    guard let size = sizes[place] else {
      throw MigrationError(
        .vmdescriptionSyntax, "described size is too large", in: .section(section.name), at: start)
    }
    return size
  }

  private func place(_ section: SectionKey, _ repetition: Int) -> Int? {
    guard let place = places[Place(key: section, repetition: repetition)],
      devices[place].isReadable
    else { return nil }
    return place
  }
}

extension VMDescription {
  /// Finds the text of a description at the end of a file, for a reader that needs the description
  /// before it reads the stream.
  ///
  /// The text holds no NUL, but its length field does. So the text begins at a brace soon after the
  /// last NUL, and is preceded by its type byte and a length that reaches exactly to the end of the
  /// file.
  /// - Parameter tail: the last bytes of the file.
  /// - Returns: the range of the text within `tail`; nil when the file does not end with a
  ///   description.
  package static func locate(inTail tail: Span<UInt8>) -> Range<Int>? {
    var index = tail.count
    while index > 0, tail[index - 1] != 0 { index -= 1 }
    // Up to three bytes of the length may follow the last NUL, and each of them may itself be a
    // brace.
    let candidates = index..<min(index + 4, tail.count)
    for start in candidates where tail[start] == UInt8(ascii: "{") && start >= 5 {
      guard tail[start - 5] == RecordType.vmdescription.rawValue else { continue }
      var length = 0
      for position in start - 4..<start { length = length << 8 | Int(tail[position]) }
      if length == tail.count - start { return start..<tail.count }
    }
    return nil
  }
}

extension VMDescription.Body {
  /// Size in bytes of a section's body by this description: its fields, then its subsections, each
  /// with a header of type, name and version. Nil when the sum is more than 2^63.
  package var size: Int? {
    var sum: UInt64 = 0
    for field in fields {
      let (run, overflow) = field.size.multipliedReportingOverflow(by: field.count)
      guard !overflow, VMDescription.add(run, to: &sum) else { return nil }
    }
    for subsection in subsections {
      guard let inner = subsection.size,
        VMDescription.add(UInt64(inner), to: &sum),
        VMDescription.add(UInt64(2 + (subsection.name?.utf8.count ?? 0) + 4), to: &sum)
      else { return nil }
    }
    return Int(exactly: sum)
  }
}

extension VMDescription {
  fileprivate static func add(_ value: UInt64, to sum: inout UInt64) -> Bool {
    let overflow: Bool
    (sum, overflow) = sum.addingReportingOverflow(value)
    return !overflow
  }
}
