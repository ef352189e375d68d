internal import Cryptography
package import Errors
internal import SVSM
package import Wire

/// The integrity seal: a signed hash tree over every byte of a stream.
///
/// It stands between EOF and the VM description, where QEMU, analyze-migration and volatility3 all
/// pass it by. It covers the bytes before it by the tree and the VM description behind it by a
/// digest. Anyone can find the first damaged chunk with it, without keys; the signature says whose
/// stream it is.
package struct Seal: Sendable, Hashable {
  /// The fixed part of a seal, big-endian. Evidence, leaves and signature follow.
  ///
  ///     offset  size  field
  ///          0     8  magic            "SVSMSEAL"
  ///          8     2  version          1
  ///         10     2  hash             1: SHA-256
  ///         12     4  flags            bit 0: signed
  ///         16     4  chunk_size       262144
  ///         20     4  evidence_length  0, or bytes of the signer's report and certificates
  ///         24     8  covered_length   bytes before the seal
  ///         32     8  chunk_count      leaves
  ///         40    32  root             of the hash tree
  ///         72     8  trailer_length   bytes of the VM description record behind the seal
  ///         80    32  trailer_hash     SHA-256 of them
  ///        112    97  signer           public key, P-384, uncompressed point; zero when unsigned
  ///        209     7  reserved         zero
  package static let layout = RecordLayout(
    "seal",
    [
      "magic": 8, "version": 2, "hash": 2, "flags": 4, "chunk_size": 4, "evidence_length": 4,
      "covered_length": 8, "chunk_count": 8, "root": 32, "trailer_length": 8, "trailer_hash": 32,
      "signer": 97, "reserved": 7,
    ])

  static let magic = Array("SVSMSEAL".utf8)
  /// Bytes of the signature: r and s, 48 bytes each.
  package static let signatureSize = 96
  /// What is sealed: a signature under one kind is none under the other.
  package enum Kind: Sendable {
    /// An SNP stream: the signer is the source of its session.
    case snp
    /// A plain QEMU stream: the signer vouches for nothing but its bytes.
    case plain

    /// What the signature covers begins with this.
    package var label: [UInt8] {
      switch self {
      case .snp: Array("svsm-migration v1 seal".utf8) + [0]
      case .plain: Array("svsm-migration v1 plain seal".utf8) + [0]
      }
    }
  }

  /// Bytes before the seal.
  package var coveredLength: UInt64
  /// Root of the hash tree: 32 bytes.
  package var root: [UInt8]
  /// Bytes of the VM description record behind the seal.
  package var trailerLength: UInt64
  /// SHA-256 of the VM description record.
  package var trailerHash: [UInt8]
  /// The signer's public key, 97 bytes; nil when the seal is unsigned.
  package var signer: [UInt8]?

  /// Leaves that `coveredLength` bytes have.
  package var chunkCount: UInt64 {
    let size = UInt64(LeafHasher.chunkSize)
    return coveredLength / size + (coveredLength % size == 0 ? 0 : 1)
  }

  /// The fixed part.
  package var encoded: [UInt8] {
    var bytes = Self.magic
    bytes.append(bigEndian: UInt16(1))
    bytes.append(bigEndian: UInt16(1))
    bytes.append(bigEndian: UInt32(signer == nil ? 0 : 1))
    bytes.append(bigEndian: UInt32(LeafHasher.chunkSize))
    bytes.append(bigEndian: UInt32(0))
    bytes.append(bigEndian: coveredLength)
    bytes.append(bigEndian: chunkCount)
    bytes += root
    bytes.append(bigEndian: trailerLength)
    bytes += trailerHash
    bytes += signer ?? [UInt8](repeating: 0, count: 97)
    bytes += [UInt8](repeating: 0, count: 7)
    return bytes
  }

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
  init(from cursor: inout ByteCursor) throws(MigrationError) {
    let start = cursor.offset
    func refusal(
      _ what: String, _ field: UInt64, _ expected: String, _ got: String
    ) -> MigrationError {
      MigrationError(
        .sealSyntax, what, in: .seal, at: start + field, expected: expected, got: got)
    }
    let magic = try cursor.takeArray(8)
    guard magic == Self.magic else {
      throw refusal("not a seal", 0, Hex.encode(Self.magic), Hex.encode(magic))
    }
    let version = try cursor.read(UInt16.self)
    let hash = try cursor.read(UInt16.self)
    guard version == 1, hash == 1 else {
      throw refusal("unknown version or hash", 8, "1 and 1", "\(version) and \(hash)")
    }
    let flags = try cursor.read(UInt32.self)
    guard flags & ~1 == 0 else { throw refusal("unknown flags", 12, "0 or 1", "\(flags)") }
    let chunkSize = try cursor.read(UInt32.self)
    guard chunkSize == UInt32(LeafHasher.chunkSize) else {
      throw refusal("unknown chunk size", 16, "\(LeafHasher.chunkSize)", "\(chunkSize)")
    }
    let evidence = try cursor.read(UInt32.self)
    guard evidence == 0 else { throw refusal("unknown evidence", 20, "0", "\(evidence)") }
    coveredLength = try cursor.read()
    let chunkCount = try cursor.read(UInt64.self)
    root = try cursor.takeArray(32)
    trailerLength = try cursor.read()
    trailerHash = try cursor.takeArray(32)
    let key = try cursor.takeArray(97)
    let reserved = try cursor.takeArray(7)
    guard reserved.allSatisfy({ $0 == 0 }) else {
      throw refusal("reserved bytes are not zero", 209, "zeros", Hex.encode(reserved))
    }
    guard flags == 1 || key.allSatisfy({ $0 == 0 }) else {
      throw refusal("unsigned seal names a signer", 112, "zeros", "a key")
    }
    signer = flags == 1 ? key : nil
    guard chunkCount == self.chunkCount else {
      throw refusal(
        "chunk count does not follow from the length", 32, "\(self.chunkCount)", "\(chunkCount)")
    }
  }

  /// Whether `signature` is the signer's over this seal of a stream of `kind`.
  func isSigned(_ signature: [UInt8], as kind: Kind) throws(MigrationError) -> Bool {
    guard let signer, let key = try? P384.PublicKey(signer),
      let signature = P384.Signature(raw: signature)
    else { return false }
    return try key.verifyLowS(signature, message: kind.label + encoded)
  }
}
