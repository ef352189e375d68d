internal import Cryptography
internal import Errors
internal import Wire

/// How records are sealed and opened: what is associated data, where the tag is, and which nonce is
/// used.
extension AEADSealer {
  /// Seals a page into its record, in which the metadata are already written.
  mutating func sealPage(
    _ metadata: PageMetadata, _ page: Span<UInt8>, into record: inout MutableSpan<UInt8>,
    at offset: Int
  ) throws(MigrationError) {
    try seal(
      page, nonce: AEADNonce(sequence: metadata.sequence), in: &record,
      associatedData: offset..<offset + PageMetadata.encodedSize,
      tag: offset + PageMetadata.encodedSize, ciphertext: offset + PageMetadata.contentOffset)
  }

  /// Seals a final record: fixed part and ciphertext, which is made where it stays.
  mutating func sealFinal(
    _ record: FinalRecord, _ plaintext: [UInt8]
  ) throws(MigrationError) -> [UInt8] {
    let size = FinalRecord.Layout.size + plaintext.count
    var bytes: [UInt8] = []
    bytes.reserveCapacity(size)
    bytes += record.encoded
    let tag = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: size - tag))
    var span = bytes.mutableSpan
    try seal(
      plaintext.span, nonce: AEADNonce(sequence: record.sequence), in: &span,
      associatedData: 0..<tag, tag: tag, ciphertext: FinalRecord.Layout.size)
    return bytes
  }

  /// The tag over `bytes` as associated data, without plaintext.
  mutating func tag(sequence: UInt64, over bytes: [UInt8]) throws(MigrationError) -> [UInt8] {
    try seal([], nonce: AEADNonce(sequence: sequence), associatedData: bytes).tag
  }
}

extension AEADOpener {
  /// Opens a page record whatever its metadata say; nothing in it is judged before the tag.
  /// - Returns: whether it authenticates.
  mutating func openPage(
    _ record: Span<UInt8>, into page: inout MutableSpan<UInt8>, at position: Int
  ) -> Bool {
    guard record.count == PageMetadata.recordSize else { return false }
    let metadata = PageMetadata.Layout.Metadata(at: 0, of: record)
    let end =
      PageMetadata.isCancel(record) ? PageMetadata.contentOffset : PageMetadata.recordSize
    return open(
      record.extracting(PageMetadata.contentOffset..<end),
      nonce: AEADNonce(sequence: metadata.sequence.value),
      associatedData: record.extracting(first: PageMetadata.encodedSize),
      tag: record.extracting(PageMetadata.encodedSize..<PageMetadata.contentOffset), into: &page,
      at: position)
  }

  /// Opens a whole final record whatever its fixed part says; nothing in it is judged before the
  /// tag.
  /// - Returns: the plaintext; nil when it does not authenticate.
  mutating func openFinal(_ record: Span<UInt8>) -> [UInt8]? {
    let headSize = FinalRecord.Layout.size
    guard record.count > headSize else { return nil }
    let head = FinalRecord.Layout(at: 0, of: record)
    let tag = FinalRecord.Layout.range(of: \.tag)
    return open(
      record.extracting(droppingFirst: headSize),
      nonce: AEADNonce(sequence: head.sequence.value),
      associatedData: record.extracting(first: tag.lowerBound), tag: record.extracting(tag))
  }
}
