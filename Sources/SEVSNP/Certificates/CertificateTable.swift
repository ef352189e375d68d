package import Cryptography
package import Errors
package import Wire

/// The certificate table of an extended guest request (GHCB specification, "Extended guest
/// request"): what a host hands its guest beside a report. Nothing in it is trusted.
///
/// Entries from the first byte on; an entry of zeros ends the list, the contents follow. Offsets count from the
/// table's first byte.
package struct CertificateTable: Equatable, Sendable {
  /// Bytes of a whole table that are read at most; Linux takes no more either.
  package static let limit = 0x4000

  /// One entry, little-endian.
  package struct Layout: WireRecord {
    package static let name = "certificate-table-entry"

    /// In the byte order of its text (RFC 4122).
    package var guid: WireBytes<16>
    /// Of the content.
    package var offset: LE32
    package var length: LE32
  }

  /// What an entry is, by its GUID.
  package enum Kind: String, CaseIterable, Sendable {
    case vcek = "63da758de6644564adc5f4b93be8accd"
    case vlek = "a8074bc2a25a483eaae639c045a0b8a1"
    /// ASK or ASVK.
    case ask = "4ab7b379bbac4fe4a02f05aef327c782"
    case ark = "c0b406a4a803495297433fb6014cd0ae"
    case crl = "92f81bc358114d3d97ffd19f88dc67ea"
    /// A CPU identity, as go-sev-guest adds it.
    case extra = "ecae0c0f950243b1afa20ae2e0d565b6"

    /// 16 bytes.
    package var guid: [UInt8] { Hex.decode(rawValue) ?? [] }

    fileprivate init?(mixedEndian guid: [UInt8]) {
      let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
      self.init(rawValue: Hex.encode(order.map { guid[$0] }))
    }
  }

  package struct Entry: Equatable, Sendable {
    /// 16 bytes.
    package let guid: [UInt8]
    /// nil for a GUID that is not known.
    package let kind: Kind?
    /// Whether the GUID is a known one whose first three numbers are little-endian, as some hosts
    /// write it. AMD's order is that of the text: such an entry is of no kind.
    package var isMixedEndian: Bool { Kind(mixedEndian: guid) != nil }
    /// Certificates are DER or PEM.
    package var content: [UInt8]

    package init(_ kind: Kind, _ content: [UInt8]) {
      guid = kind.guid
      self.kind = kind
      self.content = content
    }

    fileprivate init(guid: [UInt8], content: [UInt8]) {
      self.guid = guid
      kind = Kind(rawValue: Hex.encode(guid))
      self.content = content
    }
  }

  /// In the order of the table, unknown ones included.
  package var entries: [Entry]

  package init(_ entries: [Entry]) { self.entries = entries }

  /// Whether `bytes` are meant to be a table, well-formed or not: an entry of a known kind, in
  /// either order of a GUID, is in the list, or the list is empty.
  package static func isMeant(_ bytes: [UInt8]) -> Bool {
    let end = min(bytes.count, limit) - Layout.size
    guard end >= 0 else { return false }
    for start in stride(from: 0, through: end, by: Layout.size) {
      let guid = bytes[\Layout.guid, at: start].array
      if guid.allSatisfy({ $0 == 0 }) { return start == 0 }
      if Kind(rawValue: Hex.encode(guid)) ?? Kind(mixedEndian: guid) != nil { return true }
    }
    return false
  }

  /// Reads a whole table.
  /// - Throws: `CERT-TABLE` for a table that is too long, has no end, repeats a GUID, whose contents
  ///   lie outside it, inside the list, or in one another, or that has anything but zeros elsewhere.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    let (table, stray) = try Self.read(bytes)
    if let stray {
      throw MigrationError(
        .certificateTable, "byte of the certificate table belongs to no entry and is not zero",
        at: UInt64(stray), expected: "0", got: "\(bytes[stray])")
    }
    self = table
  }

  /// Reads a table, and finds the first byte that is neither zero nor of the list or a content.
  ///
  /// An entry without content, which has none to lie wrong, is one that the host does not have.
  /// - Throws: `CERT-TABLE`, but for such a byte.
  static func read(
    _ bytes: [UInt8]
  ) throws(MigrationError) -> (table: CertificateTable, stray: Int?) {
    guard bytes.count <= limit else {
      throw MigrationError(
        .certificateTable, "certificate table is too long", expected: "at most \(limit) bytes",
        got: "\(bytes.count)")
    }
    var places: [(guid: [UInt8], content: Range<Int>)] = []
    let span = bytes.span
    var cursor = ByteCursor(span)
    while true {
      let offset = cursor.offset
      guard cursor.remaining >= Layout.size else {
        throw MigrationError(.certificateTable, "certificate table has no end entry", at: offset)
      }
      let entry = try cursor.read(Layout.self)
      let (guid, start, length) = (
        entry.guid.array, Int(entry.offset.value), Int(entry.length.value)
      )
      if entry.guid.isZero {
        guard start == 0, length == 0 else {
          throw MigrationError(.certificateTable, "end entry is not all zero", at: offset)
        }
        break
      }
      guard !places.contains(where: { $0.guid == guid }) else {
        throw MigrationError(.certificateTable, "entry occurs twice", at: offset)
      }
      guard length > 0 else {
        places.append((guid, 0..<0))
        continue
      }
      // Both are 32-bit numbers: the sum fits.
      let content = start..<start + length
      guard content.upperBound <= bytes.count else {
        throw MigrationError(
          .certificateTable, "content lies beyond the table",
          at: Layout.offset(of: \.offset, from: offset),
          expected: "at most \(bytes.count)", got: "\(content.upperBound)")
      }
      guard !places.contains(where: { $0.content.overlaps(content) }) else {
        throw MigrationError(
          .certificateTable, "contents overlap", at: Layout.offset(of: \.offset, from: offset))
      }
      places.append((guid, content))
    }
    let list = 0..<Int(cursor.offset)
    guard !places.contains(where: { $0.content.overlaps(list) }) else {
      throw MigrationError(.certificateTable, "content lies inside the list of entries")
    }
    let entries = places.map { Entry(guid: $0.guid, content: Array(bytes[$0.content])) }
    let covered = [list] + places.map(\.content).sorted { $0.lowerBound < $1.lowerBound }
    return (CertificateTable(entries), firstStray(in: bytes, beside: covered))
  }

  /// The first byte outside `covered`, ranges in order, that is not zero.
  private static func firstStray(in bytes: [UInt8], beside covered: [Range<Int>]) -> Int? {
    var next = 0
    for range in covered + [bytes.count..<bytes.count] where range.lowerBound >= next {
      if let stray = bytes[next..<range.lowerBound].firstIndex(where: { $0 != 0 }) { return stray }
      next = range.upperBound
    }
    return nil
  }

  /// The table, contents in the order of the entries.
  /// - Throws: `CERT-TABLE` when it would be too long or repeat a GUID.
  package func bytes() throws(MigrationError) -> [UInt8] {
    guard Set(entries.map(\.guid)).count == entries.count else {
      throw MigrationError(.certificateTable, "entry occurs twice")
    }
    var next = (entries.count + 1) * Layout.size
    guard next + entries.map(\.content.count).reduce(0, +) <= Self.limit else {
      throw MigrationError(
        .certificateTable, "certificate table is too long", expected: "at most \(Self.limit) bytes")
    }
    var bytes: [UInt8] = []
    for entry in entries {
      bytes.append(
        Layout(
          guid: WireBytes(entry.guid), offset: LE32(UInt32(next)),
          length: LE32(UInt32(entry.content.count))))
      next += entry.content.count
    }
    bytes.append(Layout())
    for entry in entries { bytes += entry.content }
    return bytes
  }

  /// Entries whose GUID is not known.
  package var unknownEntries: [Entry] { entries.filter { $0.kind == nil } }

  /// Every certificate of the VCEK, VLEK, ASK and ARK entries that have content, in table order.
  /// - Throws: `CERT-SYNTAX`.
  package func certificates() throws(MigrationError) -> [X509Certificate] {
    var certificates: [X509Certificate] = []
    for entry in entries where !entry.content.isEmpty {
      switch entry.kind {
      case .vcek, .vlek, .ask, .ark: certificates += try X509Certificate.read(entry.content)
      case .crl, .extra, nil: break
      }
    }
    return certificates
  }
}
