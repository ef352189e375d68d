internal import Cryptography
internal import Errors
internal import PageSets
internal import Wire

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

/// The digest of each page that a source SVSM exported. Its memory is bounded as that of a page set is.
struct PageDigests: ~Copyable {
  /// Pages are exported and compared in the order of their addresses, but for those of a guest that runs.
  private var digests = WordTree(memory: NodePool.limitInOrder)

  /// The digest of the page at `gpa`; nil when none was noted.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file, as `note`.
  mutating func digest(of gpa: UInt64) throws(MigrationError) -> UInt64? {
    try digests.find(gpa / Page.size64)?.first
  }

  /// Notes the digest of the content with which the page at `gpa` was exported.
  mutating func note(_ digest: UInt64, of gpa: UInt64) throws(MigrationError) {
    let page = gpa / Page.size64
    let words = WordTree.Words(first: digest)
    if try digests.find(page) == nil {
      try digests.insert(page, words)
    } else {
      try digests.replace(with: words)
    }
  }
}
