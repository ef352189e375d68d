internal import CLibCrypto
package import Errors

/// The source of keys and other random values.
package enum RandomSource: Sendable {
  /// libcrypto's generator for private values.
  case system
  /// Reproducible values. With the same seed each label gives the same bytes, whatever else was
  /// derived before, on every machine and with every OpenSSL: `HKDF-Expand(HKDF-Extract(salt:
  /// "svsm-migration v1 seed" 00, seed), label, count)` with SHA-384.
  case seeded([UInt8])

  /// Whether the values come from a seed, so that everybody who knows the seed knows all of them.
  package var isSeeded: Bool { if case .seeded = self { true } else { false } }

  /// `count` bytes for the purpose that `label` names; each purpose is used only once.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  package func bytes(_ count: Int, for label: String) throws(MigrationError) -> [UInt8] {
    switch self {
    case .system:
      var bytes = [UInt8](repeating: 0, count: count)
      // Writes exactly `count` bytes.
      try check(unsafe RAND_priv_bytes(&bytes, Int32(count)), "RAND_priv_bytes")
      return bytes
    case .seeded(let seed):
      let salt = Array("svsm-migration v1 seed".utf8) + [0]
      var prk = try HKDF.extract(seed, salt: salt, using: .sha384)
      defer { wipe(&prk) }
      return try HKDF.expand(prk, info: Array(label.utf8), count: count, using: .sha384)
    }
  }
}
