internal import Cryptography
internal import Errors
internal import SVSM

/// A key pair that a host generates for itself.
struct HostKey: Sendable {
  private let key: P384.PrivateKey

  init(seed: [UInt8]) throws(MigrationError) {
    key = try P384.PrivateKey(deriving: SHA384.hash(seed + Array("key of the host".utf8)))
  }

  /// The public key: uncompressed point, 97 bytes.
  var point: [UInt8] { key.publicKey.bytes }

  /// Signs a seal. Returns r and s, 48 bytes each.
  func sign(_ seal: Seal) throws(MigrationError) -> [UInt8] {
    try key.signLowS(message: seal.message(as: .snp)).raw
  }
}
