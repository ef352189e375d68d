package import Errors
package import Wire

/// The envelope of one encrypted piece of final state: a vCPU, a service, the secrets page's facts
/// or a part of the page-state map.
package struct FinalRecord: Sendable, Hashable {
  package enum Kind: UInt16, Sendable, CaseIterable {
    case vcpu = 1
    case service = 2
    case secrets = 3
    case pageStates = 4
  }

  /// The fixed part of a final record, big-endian; the ciphertext follows. The first 24 bytes are
  /// the associated data.
  ///
  ///     offset  size  field
  ///          0     2  kind       1 vCPU, 2 service, 3 secrets page, 4 page states
  ///          2     2  reserved   zero
  ///          4     4  index      number among its kind, from 0; the section's instance id
  ///          8     8  sequence   number among all final records, from 1; the AEAD nonce
  ///         16     4  length     bytes of ciphertext
  ///         20     4  reserved_2 zero
  ///         24    16  tag        AES-256-GCM tag
  package static let layout = RecordLayout(
    "final-record",
    ["kind": 2, "reserved": 2, "index": 4, "sequence": 8, "length": 4, "reserved_2": 4, "tag": 16])

  /// Bytes that are authenticated as associated data.
  package static let authenticatedSize = 24
  /// The longest ciphertext: a service of the largest size with its header.
  package static let maximumLength = (16 << 20) + ServicePlaintext.headerSize

  package var kind: Kind
  package var index: UInt32
  package var sequence: UInt64
  package var length: UInt32

  package init(kind: Kind, index: UInt32, sequence: UInt64, length: UInt32) {
    self.kind = kind
    self.index = index
    self.sequence = sequence
    self.length = length
  }

  /// Where a stream has a record: what its section is for, and the section's instance.
  package struct Place: Sendable, Hashable {
    package var kind: Kind
    package var index: UInt32

    package init(_ kind: Kind, _ index: UInt32) { (self.kind, self.index) = (kind, index) }
  }

  /// Bytes of the record that begins at `cursor`, fixed part and ciphertext: all that is judged of it
  /// before its tag, since it says where the record ends.
  /// - Throws: `SECTION-LENGTH`; `STREAM-TRUNCATED` when the fixed part is not whole.
  package static func size(at cursor: ByteCursor) throws(MigrationError) -> Int {
    let start = cursor.offset
    var cursor = cursor
    _ = try cursor.take(16)
    let length = try cursor.read(UInt32.self)
    guard length > 0, length <= maximumLength else {
      throw MigrationError(
        .sectionLength, "impossible length of a final record", at: start + 16,
        expected: "1 to \(maximumLength)", got: "\(length)")
    }
    return layout.size + Int(length)
  }

  /// Decodes the 24 authenticated bytes; tag and ciphertext follow. A destination has checked the tag.
  /// - Parameters:
  ///   - place: where the stream has it. A record of unknown kind is taken for one of this kind, once
  ///     that was refused.
  ///   - refuse: takes what breaks a rule and leaves the record readable.
  /// - Throws: `FINAL-ORDER` when it belongs elsewhere, `SECTION-RESERVED`.
  package init(
    from cursor: inout ByteCursor, in place: Place,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    let code = try cursor.read(UInt16.self)
    let reserved = try cursor.read(UInt16.self)
    index = try cursor.read()
    sequence = try cursor.read()
    length = try cursor.read()
    let reserved2 = try cursor.read(UInt32.self)
    let known = Kind(rawValue: code)
    kind = known ?? place.kind
    if known != place.kind {
      try refuse(
        MigrationError(
          .finalOrder, "final record is not of its section", at: start,
          expected: "kind \(place.kind.rawValue), \(place.kind)", got: "\(code)"))
    }
    if reserved != 0 || reserved2 != 0 {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved bytes are not zero", at: start + (reserved == 0 ? 20 : 2),
          expected: "0", got: "\(reserved == 0 ? reserved2 : UInt32(reserved))"))
    }
    if index != place.index {
      try refuse(
        MigrationError(
          .finalOrder, "final record has another index than its section", at: start + 4,
          expected: "\(place.index)", got: "\(index)"))
    }
  }

  /// The 24 authenticated bytes.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: kind.rawValue)
    bytes.append(bigEndian: UInt16(0))
    bytes.append(bigEndian: index)
    bytes.append(bigEndian: sequence)
    bytes.append(bigEndian: length)
    bytes.append(bigEndian: UInt32(0))
    return bytes
  }
}

/// Ends the final state: totals and transcript. Without it nothing is restored.
package struct CommitRecord: Sendable, Hashable {
  /// The section `snp-commit`, big-endian. The first 128 bytes are the associated data; there is no
  /// plaintext.
  ///
  ///     offset  size  field
  ///          0     2  version        1
  ///          2     2  reserved       zero
  ///          4     4  epochs         number of epochs
  ///          8     8  page_records   page records of all epochs
  ///         16     8  private_pages  validated pages of the page-state map
  ///         24     8  final_records  final records before this one
  ///         32     4  vcpus          of them: vCPUs
  ///         36     4  services       of them: services
  ///         40     4  secrets_pages  of them: secrets pages, 0 or 1
  ///         44     4  map_parts      of them: parts of the page-state map
  ///         48    48  transcript     SHA-384 of all that came before
  ///         96    32  reserved_2     zero
  ///        128    16  tag            AES-256-GCM tag
  package static let layout = RecordLayout(
    "commit",
    [
      "version": 2, "reserved": 2, "epochs": 4, "page_records": 8, "private_pages": 8,
      "final_records": 8, "vcpus": 4, "services": 4, "secrets_pages": 4, "map_parts": 4,
      "transcript": 48, "reserved_2": 32, "tag": 16,
    ])

  /// Bytes that are authenticated.
  package static let authenticatedSize = 128

  package var epochs: UInt32
  package var pageRecords: UInt64
  package var privatePages: UInt64
  package var final: FinalCounts
  /// SHA-384, 48 bytes.
  package var transcript: [UInt8]

  package init(
    epochs: UInt32, pageRecords: UInt64, privatePages: UInt64, final: FinalCounts,
    transcript: [UInt8]
  ) {
    self.epochs = epochs
    self.pageRecords = pageRecords
    self.privatePages = privatePages
    self.final = final
    self.transcript = transcript
  }

  /// Decodes the authenticated part; the tag follows it.
  /// - Parameter refuse: takes what breaks a rule and leaves the fields readable.
  /// - Throws: `SESSION-VERSION`, `SECTION-RESERVED`, `COMMIT-TOTALS`.
  package init(
    from cursor: inout ByteCursor, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let start = cursor.offset
    let version = try cursor.read(UInt16.self)
    let reserved = try cursor.read(UInt16.self)
    epochs = try cursor.read()
    pageRecords = try cursor.read()
    privatePages = try cursor.read()
    let records = try cursor.read(UInt64.self)
    final = FinalCounts(
      vcpus: try cursor.read(), services: try cursor.read(), secretsPages: try cursor.read(),
      mapParts: try cursor.read())
    transcript = try cursor.takeArray(48)
    var reserved2: UInt64 = 0
    for _ in 0..<4 { reserved2 |= try cursor.read(UInt64.self) }
    if version != 1 {
      try refuse(
        MigrationError(
          .sessionVersion, "unknown version of the commit record", at: start, expected: "1",
          got: "\(version)"))
    }
    if reserved != 0 || reserved2 != 0 {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved bytes are not zero", at: start + (reserved == 0 ? 96 : 2),
          expected: "0", got: reserved == 0 ? "other bytes" : "\(reserved)"))
    }
    if final.total != records {
      try refuse(
        MigrationError(
          .commitTotals, "commit's counts do not add up", at: start + 24, expected: "\(records)",
          got: "\(final.total)"))
    }
  }

  /// The 128 authenticated bytes.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: UInt16(1))
    bytes.append(bigEndian: UInt16(0))
    bytes.append(bigEndian: epochs)
    bytes.append(bigEndian: pageRecords)
    bytes.append(bigEndian: privatePages)
    bytes.append(bigEndian: final.total)
    bytes.append(bigEndian: final.vcpus)
    bytes.append(bigEndian: final.services)
    bytes.append(bigEndian: final.secretsPages)
    bytes.append(bigEndian: final.mapParts)
    bytes += transcript
    bytes += [UInt8](repeating: 0, count: 32)
    return bytes
  }
}

/// How many final records of each kind there were.
package struct FinalCounts: Sendable, Hashable {
  package var vcpus: UInt32 = 0
  package var services: UInt32 = 0
  package var secretsPages: UInt32 = 0
  package var mapParts: UInt32 = 0

  package init(
    vcpus: UInt32 = 0, services: UInt32 = 0, secretsPages: UInt32 = 0, mapParts: UInt32 = 0
  ) {
    self.vcpus = vcpus
    self.services = services
    self.secretsPages = secretsPages
    self.mapParts = mapParts
  }

  /// All records.
  package var total: UInt64 {
    UInt64(vcpus) + UInt64(services) + UInt64(secretsPages) + UInt64(mapParts)
  }

  /// How many of `kind` there were.
  package subscript(kind: FinalRecord.Kind) -> UInt32 {
    switch kind {
    case .vcpu: vcpus
    case .service: services
    case .secrets: secretsPages
    case .pageStates: mapParts
    }
  }

  /// Counts one record of `kind`.
  package mutating func add(_ kind: FinalRecord.Kind) {
    switch kind {
    case .vcpu: vcpus += 1
    case .service: services += 1
    case .secrets: secretsPages += 1
    case .pageStates: mapParts += 1
    }
  }
}
