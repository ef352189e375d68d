internal import Cryptography
internal import Errors

/// Distinguishes contents of one page by 8 bytes of the AES-256-GCM tag over the page, taken as
/// associated data, under a key that never leaves the SVSM. Every digest uses the same nonce.
///
/// A repeated nonce would reveal the authentication key if a tag were ever shown, and none is. What
/// then remains of GCM is a universal hash with a secret key: two given contents have the same
/// digest with a probability of at most 2^-55, and a host that tries this is detected by the
/// refusal that ends the session (`Formats/decisions.md`).
struct PageDigester: ~Copyable {
  private var sealer: AEADSealer

  /// - Parameter key: 32 bytes.
  init(key: SecretBytes) throws(MigrationError) { sealer = try AEADSealer(key: key.bytes) }

  /// - Parameter page: 4096 bytes.
  mutating func digest(_ page: Span<UInt8>) throws(MigrationError) -> UInt64 {
    try sealer.shortTag(over: page, nonce: AEADNonce(sequence: 0))
  }
}

/// The digest of each page that a source SVSM exported. Memory grows with the pages exported: 8
/// bytes for each, allocated 4 KiB at a time.
struct PageDigests {
  private static let regionPages = 512

  private var digests: [UInt64] = []
  private var indexOfRegion: [UInt64: Int] = [:]

  /// The digest of the page at `gpa`; nil when no page in its 2 MiB region was ever noted.
  subscript(gpa: UInt64) -> UInt64? {
    guard let index = indexOfRegion[gpa >> 21] else { return nil }
    return digests[index * Self.regionPages + Int(gpa >> 12 & 511)]
  }

  /// Notes the digest of the content with which the page at `gpa` was exported.
  mutating func note(_ digest: UInt64, of gpa: UInt64) {
    let region = gpa >> 21
    let index: Int
    if let known = indexOfRegion[region] {
      index = known
    } else {
      index = indexOfRegion.count
      indexOfRegion[region] = index
      digests.append(contentsOf: repeatElement(0, count: Self.regionPages))
    }
    digests[index * Self.regionPages + Int(gpa >> 12 & 511)] = digest
  }
}
