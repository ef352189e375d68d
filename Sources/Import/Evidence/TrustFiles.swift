package import Cryptography
package import Errors
internal import FileIO
internal import Glibc
package import SEVSNP

extension TrustAnchor {
  /// AMD's roots and those in the files of certificates at `paths`.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `CERT-SYNTAX`; `CERT-ROOT` when none of the
  ///   named certificates is a root.
  package static func anchors(
    namedIn paths: [String]
  ) throws(MigrationError) -> [TrustAnchor] {
    let certificates = try paths.reading(limit: SuppliedCertificates.fileLimit) {
      (bytes) throws(MigrationError) in try X509Certificate.read(bytes)
    }
    return certificates.isEmpty ? amd : amd + (try named(certificates))
  }
}

extension X509RevocationList {
  /// The revocation lists in the files at `paths`.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `CERT-SYNTAX`.
  package static func lists(
    inFiles paths: [String]
  ) throws(MigrationError) -> [X509RevocationList] {
    try paths.reading(limit: limit) { (bytes) throws(MigrationError) in try read(bytes) }
  }
}

extension SuppliedCertificates {
  /// Largest size of a file of certificates in bytes.
  static let fileLimit = 1 << 20

  /// The certificates and revocation lists in a file.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `CERT-SYNTAX`, `CERT-TABLE`.
  package init(inFile path: String) throws(MigrationError) {
    let bytes = try readSmallFile(path, limit: Self.fileLimit)
    do {
      try self.init(file: bytes)
    } catch {
      throw error.within(.file(path))
    }
  }
}

extension AttestationPolicy {
  /// The policy in the file at `path`. Without a path, the policy demands nothing.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `POLICY-SYNTAX`.
  package init(inFile path: String?) throws(MigrationError) {
    guard let path else {
      self.init()
      return
    }
    try self.init(parsing: readSmallFile(path, limit: Self.maximumSize))
  }
}

/// The current time, at which the validity of certificates is checked.
package enum WallClock {
  /// Seconds since 1970.
  package static var now: Int64 { Int64(time(nil)) }
}

extension [String] {
  /// The results of `parse` for all files, joined in order; an error names its file.
  fileprivate func reading<Value>(
    limit: Int, _ parse: ([UInt8]) throws(MigrationError) -> [Value]
  ) throws(MigrationError) -> [Value] {
    var all: [Value] = []
    for path in self {
      let bytes = try readSmallFile(path, limit: limit)
      do {
        all += try parse(bytes)
      } catch {
        throw error.within(.file(path))
      }
    }
    return all
  }
}
