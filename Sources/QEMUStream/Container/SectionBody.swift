internal import Errors
internal import Wire

private enum SectionScan {
  /// Number of bytes that are read at once of a longer body.
  static let piece = 256 << 10
}

/// Finds the end of a section's body, whose length is not in the section's header.
extension StreamInput {
  /// Makes the body at the front of the window contiguous.
  /// - Parameters:
  ///   - described: the descriptions of sections, if there are any.
  ///   - hasFooters: whether sections end with a footer; nil when it is not known yet.
  ///   - isWhole: whether the stream's end was found, so that it does not end within a body.
  /// - Returns: size of the body in bytes.
  /// - Throws: the errors of `QEMUStreamReader.requireBody`.
  func bodySize(
    of header: SectionHeader, _ described: DescribedSections?, hasFooters: Bool?, isWhole: Bool
  ) throws(MigrationError) -> Int {
    guard let size = try described?.size(of: header, at: offset) else {
      return try scannedSize(of: header)
    }
    // QEMU describes full sections only. The description of a section in parts may therefore be
    // that of a full section of the same device, and does not apply if no footer follows.
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

  /// Whether the section's footer follows `size` bytes after the front of the window.
  private func endsWithFooter(
    _ header: SectionHeader, after size: Int
  ) throws(MigrationError) -> Bool {
    let end = size + StreamGrammar.Footer.size
    guard try available(atLeast: end) >= end else { return false }
    return StreamGrammar.isFooter(header.id, in: bytes, at: size)
  }

  /// Refuses a body without a footer in a stream whose end was found: its description is available.
  /// - Throws: `VMDESC-MISMATCH`.
  private func requireDescribed(_ header: SectionHeader) throws(MigrationError) {
    let window = bytes
    guard let range = VMDescription.locate(inTail: window),
      let found = try? VMDescription(parsing: window.extracting(range)),
      let size = try? DescribedSections(found).size(of: header, at: offset)
    else { return }
    throw header.mismatch(endingAt: offset &+ UInt64(size))
  }

  private func scannedSize(of header: SectionHeader) throws(MigrationError) -> Int {
    var searched = 0
    let footerSize = StreamGrammar.Footer.size
    while true {
      // The searched bytes must be followed by a footer and the byte that begins the next record. A
      // long body is read in large pieces; for a short one no more bytes are awaited than it needs.
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

extension SectionHeader {
  /// The error for a body whose length differs from the described one.
  fileprivate func mismatch(endingAt end: UInt64) -> MigrationError {
    MigrationError(
      .vmdescriptionMismatch, "section does not end where its description says",
      in: .section(name), at: end, expected: "its footer")
  }
}

/// The bodies read before a description, for comparison with it.
///
/// Of the parts of one section, only the first part and the first part of another length are kept:
/// if these have the described length, all parts have it. So memory does not grow with the number
/// of parts.
struct PassedBodies {
  private struct Body {
    var header: SectionHeader
    var start: UInt64
    var size: UInt64 = 0
  }

  /// The sections that share one description.
  private struct Described: Hashable {
    var key: SectionKey
    /// Nil for a section in parts.
    var repetition: Int?
  }

  private var open: Body?
  private var kept: [Described: (first: Body, other: Body?)] = [:]

  mutating func begin(_ header: SectionHeader, at start: UInt64) {
    open = Body(header: header, start: start)
  }

  /// Ends the open body, if there is one.
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

  /// - Throws: `VMDESC-MISMATCH` for the first body whose length differs from the described one;
  ///   `VMDESC-SYNTAX` for a described length out of range.
  func check(against described: DescribedSections) throws(MigrationError) {
    let bodies = kept.values.flatMap { [$0.first] + ($0.other.map { [$0] } ?? []) }
    for body in bodies.sorted(by: { $0.start < $1.start }) {
      let header = body.header
      // For a device with both a section in parts and a full section, the description is that of
      // the full section.
      let full = Described(key: header.key, repetition: 0)
      if header.kind != .full, kept[full] != nil { continue }
      guard let size = try described.size(of: header, at: body.start) else { continue }
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

  /// Whether `byte` can be the first byte of a record between sections.
  static func beginsRecord(_ byte: UInt8) -> Bool {
    switch RecordType(rawValue: byte) {
    case .eof, .sectionStart, .sectionPart, .sectionEnd, .sectionFull, .command: true
    default: false
    }
  }
}
