package import Cryptography
package import Errors
package import Wire

/// The certificate table of an extended guest request (GHCB specification, "Extended guest
/// request"): the certificates that a host gives its guest with a report. Nothing in it is trusted.
///
/// The table begins with entries. An entry of zeros ends them, and the contents follow. Offsets
/// count from the table's first byte.
package struct CertificateTable: Equatable, Sendable {
  /// Largest size in bytes of a table that is read; Linux has the same limit.
  package static let limit = 0x4000

  /// One entry, little-endian.
  package struct Layout: WireRecord {
    package static let name = "certificate-table-entry"

    /// GUID in the byte order of its text (RFC 4122).
    package var guid: WireBytes<16>
    /// Offset of the content.
    package var offset: LE32
    package var length: LE32
  }

  /// The kind of an entry, by its GUID.
  package enum Kind: String, CaseIterable, Sendable {
    case vcek = "63da758de6644564adc5f4b93be8accd"
    case vlek = "a8074bc2a25a483eaae639c045a0b8a1"
    /// ASK or ASVK.
    case ask = "4ab7b379bbac4fe4a02f05aef327c782"
    case ark = "c0b406a4a803495297433fb6014cd0ae"
    case crl = "92f81bc358114d3d97ffd19f88dc67ea"
    /// A CPU identity, an addition of go-sev-guest.
    case extra = "ecae0c0f950243b1afa20ae2e0d565b6"

    /// The GUID: 16 bytes.
    package var guid: [UInt8] { Hex.decode(rawValue) ?? [] }

    fileprivate init?(mixedEndian guid: [UInt8]) {
      let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
      self.init(rawValue: Hex.encode(order.map { guid[$0] }))
    }
  }

  /// One entry of the table, with its content.
  package struct Entry: Equatable, Sendable {
    /// GUID: 16 bytes.
    package let guid: [UInt8]
    /// nil for an unknown GUID.
    package let kind: Kind?
    /// Whether the GUID is a known one whose first three numbers are little-endian, as some hosts
    /// write it. AMD uses the byte order of the text, so such an entry has no kind.
    package var isMixedEndian: Bool { Kind(mixedEndian: guid) != nil }
    /// The content. Certificates are in DER or PEM.
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

  /// The entries in the order of the table, unknown ones included.
  package var entries: [Entry]

  package init(_ entries: [Entry]) { self.entries = entries }

  /// Whether `bytes` are meant to be a table, well-formed or not: the list contains an entry of a
  /// known kind, in either byte order of the GUID, or is empty.
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
  /// - Throws: `CERT-TABLE` for a table that is too long, has no end entry or repeats a GUID; whose
  ///   contents are outside the table, inside the list or overlap; or that has nonzero bytes
  ///   elsewhere.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    let (table, stray) = try Self.read(bytes)
    if let stray {
      throw MigrationError(
        .certificateTable, "byte of the certificate table belongs to no entry and is not zero",
        at: UInt64(stray), expected: "0", got: "\(bytes[stray])")
    }
    self = table
  }

  /// Reads a table, and finds the first nonzero byte that is neither in the list nor in a content.
  ///
  /// An entry without content is one that the host does not have; its offset is not checked.
  /// - Throws: `CERT-TABLE` for every other fault.
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
      // Both are 32-bit numbers, so the sum does not overflow.
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

  /// The first nonzero byte outside of `covered`, which is in ascending order.
  private static func firstStray(in bytes: [UInt8], beside covered: [Range<Int>]) -> Int? {
    var next = 0
    for range in covered + [bytes.count..<bytes.count] where range.lowerBound >= next {
      if let stray = bytes[next..<range.lowerBound].firstIndex(where: { $0 != 0 }) { return stray }
      next = range.upperBound
    }
    return nil
  }

  /// The encoded table, with contents in the order of the entries.
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

  /// Entries with an unknown GUID.
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
