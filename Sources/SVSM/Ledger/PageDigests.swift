internal import Cryptography
internal import Errors

/// Tells contents of one page apart: 8 bytes of AES-256-GCM's tag over the page, as associated data,
/// under a key that never leaves the SVSM. Every digest has the same nonce.
///
/// That would give the key away if a tag were ever shown; none is. What remains of GCM then is a
/// universal hash with a secret key: two given contents have one digest with a chance of at most
/// 2^-55, and a host that tries is found out by the refusal that ends the session
/// (`Formats/decisions.md`).
struct PageDigester: ~Copyable {
  private var sealer: AEADSealer

  /// - Parameter key: 32 bytes.
  init(key: SecretBytes) throws(MigrationError) { sealer = try AEADSealer(key: key.bytes) }

  /// - Parameter page: 4096 bytes.
  mutating func digest(_ page: Span<UInt8>) throws(MigrationError) -> UInt64 {
    try sealer.shortTag(over: page, nonce: AEADNonce(sequence: 0))
  }
}

/// What a source SVSM remembers of each page it exported: the digest of its content. Memory follows
/// the pages exported, 8 bytes for each and 4 KiB at a time.
struct PageDigests {
  private static let regionPages = 512

  private var digests: [UInt64] = []
  private var indexOfRegion: [UInt64: Int] = [:]

  /// The digest of the page at `gpa`; nil when none near it was ever noted.
  subscript(gpa: UInt64) -> UInt64? {
    guard let index = indexOfRegion[gpa >> 21] else { return nil }
    return digests[index * Self.regionPages + Int(gpa >> 12 & 511)]
  }

  /// Notes what the page at `gpa` was exported with.
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
