internal import Cryptography
package import Errors
internal import Migration
package import SEVSNP
package import SVSM
internal import Wire

/// Decrypts a stream with the keys of its destination, record by record like a load, but restores
/// nothing.
///
/// The rehearsal is a class because records are opened while the reader that holds their bytes is
/// borrowed.
package final class Rehearsal {
  /// The destination's instance and the trust anchors with which a stream is opened.
  package struct Keys {
    package var instance: SVSMInstance
    package var anchors: [TrustAnchor]

    package init(instance: SVSMInstance, anchors: [TrustAnchor]) {
      (self.instance, self.anchors) = (instance, anchors)
    }
  }

  private var svsm: DestinationSVSM
  /// Receives each decrypted page.
  private let pages: PageImport

  /// - Throws: the errors with which a destination refuses transfer data, such as those of a
  ///   session for another destination.
  package init(_ keys: Keys, _ data: TransferData, at offset: UInt64) throws(MigrationError) {
    var options = DestinationSVSM.Options()
    options.acceptsOneWay = true
    options.acceptsSeeded = true
    options.isRehearsal = true
    // A stored stream may be inspected long after it was written, and no decision depends on the
    // current date. Certificates are therefore checked at the time when the source's newest
    // certificate was issued.
    let certificates =
      data.flags.contains(.mutual)
      ? try CertificateTable(data.certificates).certificates() : []
    let time = certificates.map(\.notBefore).max() ?? 0
    let svsm = try DestinationSVSM(
      instance: keys.instance, transferData: data, trust: Trust(anchors: keys.anchors, time: time),
      options: options, at: offset)
    pages = try svsm.makeImport()
    self.svsm = svsm
  }

  /// Opens a page record; `page` then returns the content.
  package func open(page record: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    pages.open(record, stride: record.count, count: 1)
    _ = try svsm.processPage(0, of: pages, at: offset)
  }

  /// The content of the page that was opened last.
  package var page: [UInt8] {
    let pages = self.pages
    return Array(copying: pages.contents)
  }

  /// Whether the content of the page that was opened last is all zero.
  package var isZero: Bool { pages.isZero(0) }

  package func open(token record: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    try svsm.processEpochToken(record, at: offset)
  }

  package func open(
    final record: Span<UInt8>, in place: FinalRecord.Place, at offset: UInt64
  ) throws(MigrationError) {
    try svsm.processFinalState(record, in: place, at: offset)
  }

  /// - Returns: the state that a load would restore.
  package func open(
    commit record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> RestoredState {
    try svsm.processCommit(record, at: offset)
  }
}
