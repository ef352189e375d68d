internal import Errors
internal import Wire

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
  ///   - isWhole: whether the stream's end was seen, so that it does not end within a body.
  /// - Returns: bytes of the body.
  /// - Throws: as `QEMUStreamReader.requireBody`.
  func bodySize(
    of header: SectionHeader, _ device: VMDescription.Device?, hasFooters: Bool?, isWhole: Bool
  ) throws(MigrationError) -> Int {
    guard let device else { return try scannedSize(of: header) }
    let size = try device.size(of: header, at: offset)
    // QEMU describes full sections: what it says of one may be said of the same device's full one.
    if header.kind != .full, try !endsWithFooter(header, after: size) {
      return try scannedSize(of: header)
    }
    if try available(atLeast: size) < size, isWhole {
      throw header.mismatch(endingAt: offset &+ UInt64(size))
    }
    try require(size)
    let end = size + StreamGrammar.Footer.size
    if hasFooters != false, try available(atLeast: end) >= end {
      guard StreamGrammar.isFooter(header.id, in: bytes, at: size) || hasFooters == nil else {
        throw header.mismatch(endingAt: offset &+ UInt64(size))
      }
    }
    return size
  }

  /// Whether the footer of a section stands `size` bytes further on.
  private func endsWithFooter(
    _ header: SectionHeader, after size: Int
  ) throws(MigrationError) -> Bool {
    let end = size + StreamGrammar.Footer.size
    guard try available(atLeast: end) >= end else { return false }
    return StreamGrammar.isFooter(header.id, in: bytes, at: size)
  }

  /// Refuses a body without footer in a stream that has come to its end: its description is at hand.
  /// - Throws: `VMDESC-MISMATCH`.
  private func requireDescribed(_ header: SectionHeader) throws(MigrationError) {
    let window = bytes
    guard let range = VMDescription.locate(inTail: window),
      let found = try? VMDescription(parsing: Array(copying: window.extracting(range))),
      let size = DescribedSections(found)[header]?.body.size
    else { return }
    throw header.mismatch(endingAt: offset &+ UInt64(size))
  }

  private func scannedSize(of header: SectionHeader) throws(MigrationError) -> Int {
    var searched = 0
    let footerSize = StreamGrammar.Footer.size
    while true {
      // The footer, and the byte that begins the next record. A long body is read in large pieces; a
      // short one waits for no more than its end.
      if searched >= SectionScan.piece, searched + footerSize + 1 > bytes.count {
        _ = try available(atLeast: searched + SectionScan.piece)
      }
      if try available(atLeast: searched + footerSize + 1) < searched + footerSize + 1 {
        try requireDescribed(header)
      }
      try require(searched + footerSize + 1)
      let window = bytes
      while searched + footerSize + 1 <= window.count, searched <= QEMUStreamReader.scanLimit {
        if StreamGrammar.isFooter(header.id, in: window, at: searched),
          StreamGrammar.beginsRecord(window[searched + footerSize])
        {
          return searched
        }
        searched += 1
      }
      guard searched <= QEMUStreamReader.scanLimit else {
        throw MigrationError(
          .sectionLength, "section's footer was not found",
          in: .section(header.name), at: offset,
          expected: "within \(QEMUStreamReader.scanLimit) bytes")
      }
    }
  }
}

extension VMDescription.Device {
  /// Bytes of the body, as described.
  /// - Parameter start: where the body begins, for errors.
  /// - Throws: `VMDESC-SYNTAX` for a size that cannot be.
  func size(of header: SectionHeader, at start: UInt64) throws(MigrationError) -> Int {
    guard let size = body.size else {
      throw MigrationError(
        .vmdescriptionSyntax, "described size is too large", in: .section(header.name),
        at: start)
    }
    return size
  }
}

extension SectionHeader {
  /// A body that has another length than described.
  fileprivate func mismatch(endingAt end: UInt64) -> MigrationError {
    MigrationError(
      .vmdescriptionMismatch, "section does not end where its description says",
      in: .section(name), at: end, expected: "its footer")
  }
}

/// The bodies that passed while nothing described them, for the description that may follow.
///
/// Of the parts of one section the first is kept, and the first of another length: where those have the
/// length that is described, all have. So memory does not grow with the parts.
struct PassedBodies {
  private struct Body {
    var header: SectionHeader
    var start: UInt64
    var size: UInt64 = 0
  }

  /// Sections that are described as one.
  private struct Described: Hashable {
    var key: SectionKey
    /// Nil of one in parts.
    var repetition: Int?
  }

  private var open: Body?
  private var kept: [Described: (first: Body, other: Body?)] = [:]

  mutating func begin(_ header: SectionHeader, at start: UInt64) {
    open = Body(header: header, start: start)
  }

  /// Ends the body that was begun, if one was.
  mutating func end(at offset: UInt64) {
    guard var body = open else { return }
    open = nil
    body.size = offset &- body.start
    let header = body.header
    let key = Described(
      key: header.key, repetition: header.kind == .full ? header.repetition : nil)
    guard let known = kept[key] else {
      kept[key] = (body, nil)
      return
    }
    if known.other == nil, known.first.size != body.size { kept[key]?.other = body }
  }

  /// - Throws: `VMDESC-MISMATCH` for the first body of another length than described; `VMDESC-SYNTAX` for
  ///   a described length that cannot be.
  func check(against described: DescribedSections) throws(MigrationError) {
    let bodies = kept.values.flatMap { [$0.first] + ($0.other.map { [$0] } ?? []) }
    for body in bodies.sorted(by: { $0.start < $1.start }) {
      let header = body.header
      guard let device = described[header] else { continue }
      // What is said of a device that comes in both ways is said of its full section.
      let full = Described(key: header.key, repetition: 0)
      if header.kind != .full, kept[full] != nil { continue }
      let size = try device.size(of: body.header, at: body.start)
      guard UInt64(size) == body.size else {
        throw body.header.mismatch(endingAt: body.start &+ UInt64(size))
      }
    }
  }
}

extension StreamGrammar {
  static func isFooter(_ id: UInt32, in window: Span<UInt8>, at place: Int) -> Bool {
    window[place] == RecordType.footer.rawValue && Footer(at: place, of: window).id.value == id
  }

  /// Whether `byte` can stand where a record begins, among the sections.
  static func beginsRecord(_ byte: UInt8) -> Bool {
    switch RecordType(rawValue: byte) {
    case .eof, .sectionStart, .sectionPart, .sectionEnd, .sectionFull, .command: true
    default: false
    }
  }
}
