internal import Cryptography
package import Errors
package import Wire

/// The integrity seal: a signed hash tree over every byte of a stream.
///
/// It is between EOF and the VM description, where QEMU, analyze-migration and volatility3 all
/// ignore it. Its hash tree covers the bytes before it, and a digest covers the VM description
/// after it. Anyone can find the first damaged chunk with it, without keys; the signature tells
/// whose stream it is.
package struct Seal: Sendable, Hashable {
  /// The fixed part of a seal. Evidence, leaves and signature follow.
  package struct Layout: WireRecord {
    package static let name = "seal"

    /// "SVSMSEAL".
    package var magic: WireBytes<8>
    /// 1.
    package var version: BE16
    /// 1: SHA-256.
    package var hash: BE16
    /// Bit 0: signed.
    package var flags: BE32
    /// 262144.
    package var chunkSize: BE32
    /// 0, or bytes of the signer's report and certificates.
    package var evidenceLength: BE32
    /// Bytes before the seal.
    package var coveredLength: BE64
    /// Leaves.
    package var chunkCount: BE64
    /// Root of the hash tree.
    package var root: WireBytes<32>
    /// Bytes of the VM description record after the seal.
    package var trailerLength: BE64
    /// SHA-256 of them.
    package var trailerHash: WireBytes<32>
    /// Public key, P-384, uncompressed point; zero when unsigned.
    package var signer: WireBytes<97>
    /// Zero.
    package var reserved: WireBytes<7>
  }

  package static let magic = Array("SVSMSEAL".utf8)
  private static let version: UInt16 = 1
  /// SHA-256.
  private static let hash: UInt16 = 1
  /// Size in bytes of a chunk, which is a leaf of the hash tree. The last chunk may be shorter.
  package static let chunkSize = 256 << 10
  /// Bytes of the signature: r and s, 48 bytes each.
  package static let signatureSize = 96
  /// What is sealed. A signature under one kind is not valid under another.
  package enum Kind: Sendable {
    /// An SNP stream: the signer is the source of its session.
    case snp
    /// A plain QEMU stream: the signer vouches for nothing but its bytes.
    case plain
    /// Every byte of a file of any kind; the seal is in a file of its own.
    case detached

    /// The first bytes of what the signature covers.
    fileprivate var label: [UInt8] {
      switch self {
      case .snp: Array("svsm-migration v1 seal".utf8) + [0]
      case .plain: Array("svsm-migration v1 plain seal".utf8) + [0]
      case .detached: Array("svsm-migration v1 detached seal".utf8) + [0]
      }
    }
  }

  /// Bytes before the seal.
  package var coveredLength: UInt64
  /// Root of the hash tree: 32 bytes.
  package var root: [UInt8]
  /// Length in bytes of the VM description record after the seal.
  package var trailerLength: UInt64
  /// SHA-256 of the VM description record.
  package var trailerHash: [UInt8]
  /// The signer's public key, 97 bytes; nil when the seal is unsigned.
  package var signer: [UInt8]?

  /// Number of chunks in `coveredLength` bytes: the leaves of the hash tree.
  package var chunkCount: UInt64 {
    let size = UInt64(Self.chunkSize)
    return coveredLength / size + (coveredLength % size == 0 ? 0 : 1)
  }

  /// The fixed part.
  package var encoded: [UInt8] {
    var record = Layout()
    record.magic = WireBytes(Self.magic)
    record.version = BE16(Self.version)
    record.hash = BE16(Self.hash)
    record.flags = BE32(signer == nil ? 0 : 1)
    record.chunkSize = BE32(UInt32(Self.chunkSize))
    record.coveredLength = BE64(coveredLength)
    record.chunkCount = BE64(chunkCount)
    record.root = WireBytes(root)
    record.trailerLength = BE64(trailerLength)
    record.trailerHash = WireBytes(trailerHash)
    if let signer { record.signer = WireBytes(signer) }
    return record.bytes
  }

  /// - Parameters:
  ///   - root: root of the hash tree, 32 bytes.
  ///   - trailer: the VM description record after the seal; empty when there is none.
  ///   - signer: the signer's public key, 97 bytes; nil for an unsigned seal.
  package init(
    coveredLength: UInt64, root: [UInt8], trailer: [UInt8], signer: [UInt8]?
  ) throws(MigrationError) {
    self.coveredLength = coveredLength
    self.root = root
    trailerLength = UInt64(trailer.count)
    trailerHash = try SHA256.hash(trailer)
    self.signer = signer
  }

  /// Decodes the fixed part.
  /// - Throws: `SEAL-SYNTAX`.
  package init(from cursor: inout ByteCursor) throws(MigrationError) {
    let start = cursor.offset
    let record = try cursor.read(Layout.self)
    func require<Field: WireField>(
      _ isGood: Bool, _ what: String, _ field: KeyPath<Layout, Field>, _ expected: String,
      _ got: String
    ) throws(MigrationError) {
      if isGood { return }
      throw MigrationError(
        .sealSyntax, what, in: .seal, at: Layout.offset(of: field, from: start),
        expected: expected, got: got)
    }
    let (version, hash, flags) = (record.version.value, record.hash.value, record.flags.value)
    try require(
      record.magic.array == Self.magic, "not a seal", \.magic, Hex.encode(Self.magic),
      Hex.encode(record.magic.array))
    try require(
      version == Self.version && hash == Self.hash, "unknown version or hash", \.version, "1 and 1",
      "\(version) and \(hash)")
    try require(flags & ~1 == 0, "unknown flags", \.flags, "0 or 1", "\(flags)")
    try require(
      record.chunkSize.value == UInt32(Self.chunkSize), "unknown chunk size", \.chunkSize,
      "\(Self.chunkSize)", "\(record.chunkSize.value)")
    try require(
      record.evidenceLength.isZero, "unknown evidence", \.evidenceLength, "0",
      "\(record.evidenceLength.value)")
    try require(
      record.reserved.isZero, "reserved bytes are not zero", \.reserved, "zeros",
      Hex.encode(record.reserved.array))
    try require(
      flags == 1 || record.signer.isZero, "unsigned seal names a signer", \.signer, "zeros", "a key"
    )
    coveredLength = record.coveredLength.value
    root = record.root.array
    trailerLength = record.trailerLength.value
    trailerHash = record.trailerHash.array
    signer = flags == 1 ? record.signer.array : nil
    try require(
      record.chunkCount.value == chunkCount, "chunk count does not follow from the length",
      \.chunkCount, "\(chunkCount)", "\(record.chunkCount.value)")
  }

  /// The message that a signer of a stream of `kind` signs.
  package func message(as kind: Kind) -> [UInt8] { kind.label + encoded }

  /// Whether `signature` (r and s, 48 bytes each) is the signer's over this seal of a stream of
  /// `kind`.
  package func isSigned(_ signature: [UInt8], as kind: Kind) throws(MigrationError) -> Bool {
    guard let signer, let key = try? P384.PublicKey(signer),
      let signature = P384.Signature(raw: signature)
    else { return false }
    return try key.verifyLowS(signature, message: message(as: kind))
  }
}
