internal import Bytes

private enum SectionScan {
  /// Bytes that are read at once of a body that is longer.
  static let piece = 256 << 10
}

/// Where the body of a section ends: nothing in its header tells.
extension StreamInput {
  /// Makes the body at the front of the window contiguous.
  /// - Parameters:
  ///   - device: the section's description, if there is one.
  ///   - hasFooters: nil when that is not known yet.
  /// - Returns: bytes of the body.
  /// - Throws: as `QEMUStreamReader.requireBody`.
  func bodySize(
    of header: SectionHeader, _ device: VMDescription.Device?, hasFooters: Bool?
  ) throws(MigrationError) -> Int {
    guard let device else { return try scannedSize(of: header) }
    let name = header.name.description
    guard let size = device.body.size else {
      throw MigrationError(.vmdescriptionSyntax, "described size is too large", section: name)
    }
    try require(size)
    if hasFooters != false, try available(atLeast: size + 5) >= size + 5 {
      guard StreamGrammar.isFooter(header.id, in: bytes, at: size) || hasFooters == nil else {
        throw MigrationError(
          .vmdescriptionMismatch, "section does not end where its description says",
          section: name, at: offset &+ UInt64(size), expected: "its footer")
      }
    }
    return size
  }

  private func scannedSize(of header: SectionHeader) throws(MigrationError) -> Int {
    var searched = 0
    while true {
      // The footer, and the byte that begins the next record. A long body is read in large pieces; a
      // short one waits for no more than its end.
      if searched >= SectionScan.piece, searched + 6 > bytes.count {
        _ = try available(atLeast: searched + SectionScan.piece)
      }
      try require(searched + 6)
      let window = bytes
      while searched + 6 <= window.count, searched <= QEMUStreamReader.scanLimit {
        if StreamGrammar.isFooter(header.id, in: window, at: searched),
          StreamGrammar.beginsRecord(window[searched + 5])
        {
          return searched
        }
        searched += 1
      }
      guard searched <= QEMUStreamReader.scanLimit else {
        throw MigrationError(
          .sectionLength, "section's footer was not found",
          section: header.name.description, at: offset,
          expected: "within \(QEMUStreamReader.scanLimit) bytes")
      }
    }
  }
}

extension VMDescription {
  /// The index of each section in `devices`; of one that comes twice, the first.
  var places: [SectionKey: Int] {
    var places: [SectionKey: Int] = [:]
    for (index, device) in devices.enumerated() {
      guard let name = SectionName(device.name) else { continue }
      let key = SectionKey(name: name, instance: device.instance)
      if places[key] == nil { places[key] = index }
    }
    return places
  }

  /// The sections that are described.
  public var keys: Set<SectionKey> { Set(places.keys) }
}

extension StreamGrammar {
  static func isFooter(_ id: UInt32, in window: Span<UInt8>, at place: Int) -> Bool {
    guard window[place] == RecordType.footer.rawValue else { return false }
    var found: UInt32 = 0
    for index in place + 1..<place + 5 { found = found << 8 | UInt32(window[index]) }
    return found == id
  }

  /// Whether `byte` can stand where a record begins, among the sections.
  static func beginsRecord(_ byte: UInt8) -> Bool {
    switch RecordType(rawValue: byte) {
    case .eof, .sectionStart, .sectionPart, .sectionEnd, .sectionFull, .command: true
    default: false
    }
  }
}
