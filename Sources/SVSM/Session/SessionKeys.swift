package import Cryptography
package import Errors
internal import Wire

/// The keys of one migration, one for each purpose, all derived from the transport key and the
/// transfer data. A record of another session or another purpose never authenticates.
///
///     prk = HKDF-Extract(salt: SHA-384(transfer data), transport key)
///     key = HKDF-Expand(prk, "svsm-migration v1 <purpose>" 00, 32)
///
/// Not public: only the two SVSMs of this package hold them, and the attack laboratory when it acts
/// as a rogue SVSM.
package struct SessionKeys {
  private let pages: SecretBytes
  private let epochs: SecretBytes
  private let final: SecretBytes
  private let commit: SecretBytes

  /// - Parameter transportKey: 32 bytes.
  package init(transportKey: [UInt8], transferData: [UInt8]) throws(MigrationError) {
    let salt = try SHA384.hash(transferData)
    var prk = try HKDF.extract(transportKey, salt: salt, using: .sha384)
    defer { wipe(&prk) }
    pages = try Self.key(prk, Label.pageKey)
    epochs = try Self.key(prk, Label.epochKey)
    final = try Self.key(prk, Label.finalKey)
    commit = try Self.key(prk, Label.commitKey)
  }

  /// The keys of the session that `transferData` begins, as its destination unwraps them.
  /// - Returns: nil when the transport key does not unwrap.
  init?(
    unwrapping transferData: TransferData, for instance: SVSMInstance
  ) throws(MigrationError) {
    let info =
      Label.transportKey
      + TransferData.wrapInfo(flags: transferData.flags, offerDigest: transferData.offerDigest)
    guard
      var transportKey = try instance.unwrap(
        transferData.wrappedKey, encapsulatedKey: transferData.encapsulatedKey, info: info)
    else { return nil }
    defer { wipe(&transportKey) }
    try self.init(transportKey: transportKey, transferData: transferData.encoded)
  }

  /// The cipher that seals page records.
  package func pageSealer() throws(MigrationError) -> AEADSealer {
    try AEADSealer(key: pages.bytes)
  }
  /// The cipher that opens page records.
  package func pageOpener() throws(MigrationError) -> AEADOpener {
    try AEADOpener(key: pages.bytes)
  }
  /// The cipher that seals final records.
  package func finalSealer() throws(MigrationError) -> AEADSealer {
    try AEADSealer(key: final.bytes)
  }
  /// The cipher that opens final records.
  package func finalOpener() throws(MigrationError) -> AEADOpener {
    try AEADOpener(key: final.bytes)
  }

  /// The tag of an epoch token.
  package func tag(ofToken bytes: [UInt8], epoch: UInt32) throws(MigrationError) -> [UInt8] {
    try Self.tag(epochs.bytes, sequence: UInt64(epoch), bytes)
  }

  /// Whether the tag of a whole token is good.
  func authenticates(token record: Span<UInt8>, epoch: UInt32) throws(MigrationError) -> Bool {
    try Self.authenticates(
      record, EpochToken.Layout.range(of: \.tag), epochs.bytes, sequence: UInt64(epoch))
  }

  /// The tag of the commit.
  package func tag(ofCommit bytes: [UInt8]) throws(MigrationError) -> [UInt8] {
    try Self.tag(commit.bytes, sequence: 1, bytes)
  }

  /// Whether the tag of a whole commit is good.
  func authenticates(commit record: Span<UInt8>) throws(MigrationError) -> Bool {
    try Self.authenticates(
      record, CommitRecord.Layout.range(of: \.tag), commit.bytes, sequence: 1)
  }

  /// Whether the bytes at `place` in a record are the tag over all bytes before.
  private static func authenticates(
    _ record: Span<UInt8>, _ place: Range<Int>, _ key: [UInt8], sequence: UInt64
  ) throws(MigrationError) -> Bool {
    let signed = Array(copying: record.extracting(first: place.lowerBound))
    return equalInConstantTime(
      try tag(key, sequence: sequence, signed), Array(copying: record.extracting(place)))
  }

  private static func key(_ prk: [UInt8], _ label: [UInt8]) throws(MigrationError) -> SecretBytes {
    SecretBytes(try HKDF.expand(prk, info: label, count: 32, using: .sha384))
  }

  private static func tag(
    _ key: [UInt8], sequence: UInt64, _ bytes: [UInt8]
  ) throws(MigrationError) -> [UInt8] {
    var sealer = try AEADSealer(key: key)
    return try sealer.tag(sequence: sequence, over: bytes)
  }
}
