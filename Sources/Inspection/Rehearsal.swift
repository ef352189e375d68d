internal import Cryptography
package import Errors
internal import Migration
package import SEVSNP
package import SVSM
internal import Wire

/// Opens a stream with the keys of its destination, record by record as a load would, and restores
/// nothing.
///
/// An object, since records are opened while the reader that holds their bytes is borrowed.
package final class Rehearsal {
  /// What opens a stream: its destination, and whom it believes.
  package struct Keys {
    package var instance: SVSMInstance
    package var anchors: [TrustAnchor]

    package init(instance: SVSMInstance, anchors: [TrustAnchor]) {
      (self.instance, self.anchors) = (instance, anchors)
    }
  }

  private var svsm: DestinationSVSM
  /// Takes each decrypted page in turn.
  private let pages: PageImport

  /// - Throws: what a destination refuses: a session for another one, a source without proof.
  package init(_ keys: Keys, _ data: TransferData, at offset: UInt64) throws(MigrationError) {
    var options = DestinationSVSM.Options()
    options.acceptsOneWay = true
    options.acceptsSeeded = true
    options.isRehearsal = true
    // Looking into a stream that is kept for long is no decision that dates matter to: the time
    // is that at which the youngest of the source's certificates was issued.
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

  /// Opens a page record; `page` has its content then.
  package func open(page record: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    pages.open(record, stride: record.count, count: 1)
    _ = try svsm.processPage(0, of: pages, at: offset)
  }

  /// The page opened last.
  package var page: [UInt8] {
    let pages = self.pages
    return Array(copying: pages.contents)
  }

  package func open(token record: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    try svsm.processEpochToken(record, at: offset)
  }

  package func open(
    final record: Span<UInt8>, in place: FinalRecord.Place, at offset: UInt64
  ) throws(MigrationError) {
    try svsm.processFinalState(record, in: place, at: offset)
  }

  /// - Returns: what a load would restore.
  package func open(
    commit record: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) -> RestoredState {
    try svsm.processCommit(record, at: offset)
  }
}
