package import Errors
package import QEMUStream
package import SVSM

/// Told the memory of a stream while the stream is inspected. Shared and plain pages are written to it as
/// to a store: the last content of a page is the valid one, and what is never written is zero.
package protocol PageSink: RAMStore {
  /// Told a record of a private page.
  /// - Parameters:
  ///   - page: what the record says in the clear.
  ///   - offset: place of the page in its RAM block.
  ///   - sealed: tag and ciphertext of the record.
  ///   - content: decrypted content; nil without keys, and in a record that cancels the page.
  /// - Throws: `IO-WRITE`, `IO-READ`.
  func take(
    _ page: PageMetadata, block: Int, at offset: UInt64, sealed: Span<UInt8>, content: [UInt8]?
  ) throws(MigrationError)
}
