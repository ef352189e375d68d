internal import Cryptography
internal import Errors
internal import Guest
internal import Inspection
internal import SEVSNP
package import SVSM
internal import Wire

/// A number for the content of each page of one side, and for what the record of a private page says.
///
/// The number is a part of an AES-256-GCM tag over the page, under a key that one comparison draws for both of
/// its sides and that nobody else learns: two contents, whoever chose them, have the same number with a
/// probability of at most 2^-55, and it takes a third of the time of SHA-256.
final class PageDigests: PageSink {
  /// The key of one comparison.
  struct Key: Sendable {
    fileprivate let bytes: [UInt8]

    /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
    init() throws(MigrationError) {
      bytes = try RandomSource.system.bytes(
        AEADAlgorithm.aes256GCM.keySize, for: "comparison of pages")
    }
  }

  /// Bytes of memory read at once.
  private static let batchSize = 256 << 10

  /// Zero for a page of zeros, else the number of its content; of a private page whose content is encrypted, the
  /// number of the last record's tag and ciphertext.
  let contents: PageTable
  /// For the last record of each private page its sequence number, then the other fields; nil without any.
  private(set) var records: PageTable?
  private let blockSizes: [UInt64]
  /// Content that must be read back before all pages have come.
  private let memory: TemporaryMemory?
  /// Whether pages could not be told apart without their content: parts of pages came, or what changed in them.
  private(set) var needsContent = false
  private var sealer: AEADSealer

  /// - Parameters:
  ///   - keepsContent: whether to keep all content in a file without a name, for streams in which pages come in
  ///     parts.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `INTERNAL-CRYPTOGRAPHY`.
  init(_ blockSizes: [UInt64], _ key: Key, keepsContent: Bool) throws(MigrationError) {
    self.blockSizes = blockSizes
    contents = try PageTable(blockSizes: blockSizes, words: 1)
    memory = keepsContent ? try TemporaryMemory(blockSizes: blockSizes) : nil
    sealer = try AEADSealer(key: key.bytes)
  }

  // MARK: Of a stream

  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    if let memory { return try memory.write(block: block, at: offset, bytes) }
    guard offset % Page.size64 == 0, bytes.count % Page.size == 0 else { throw unreadable(offset) }
    try digest(block: block, at: offset, bytes)
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    guard let memory else { throw unreadable(offset) }
    try memory.read(block: block, at: offset, into: &buffer)
  }

  private func unreadable(_ offset: UInt64) -> MigrationError {
    needsContent = true
    return MigrationError(.ramOffset, "a page comes in parts", at: offset)
  }

  func take(
    _ page: PageMetadata, block: Int, at offset: UInt64, sealed: Span<UInt8>, content: [UInt8]?
  ) throws(MigrationError) {
    let number = offset / Page.size64
    if records == nil { records = try PageTable(blockSizes: blockSizes, words: 2) }
    guard let records else { return }
    try records.set(page.sequence, block: block, page: number)
    try records.set(PageRecordFacts(page).packed, block: block, page: number, word: 1)
    if let content {
      try digest(block: block, at: offset, content.span)
    } else {
      let isGone = page.operation == .cancel
      try contents.set(isGone ? 0 : try self.number(of: sealed), block: block, page: number)
    }
  }

  // MARK: Of memory in files

  /// Reads the memory of all blocks, but no holes.
  /// - Parameter progress: told the bytes that have been read since its last call.
  /// - Throws: `IO-READ`, `IO-WRITE`.
  func digest(_ files: BlockFiles, progress: (UInt64) -> Void) throws(MigrationError) {
    let buffer = PageBuffer(count: Self.batchSize)
    for (block, size) in blockSizes.enumerated() {
      var next: UInt64 = 0
      while next < size {
        let stretch = try files.stretch(block: block, from: next, to: size)
        if stretch.isHole { progress(stretch.end - next) }
        while !stretch.isHole, next < stretch.end {
          let count = Int(min(UInt64(Self.batchSize), stretch.end - next))
          var target = buffer.mutableSpan(0..<count)
          try files.read(block: block, at: next, into: &target)
          try digest(block: block, at: next, buffer.span.extracting(first: count))
          next += UInt64(count)
          progress(UInt64(count))
        }
        next = stretch.end
      }
    }
    try files.requireSizes()
  }

  /// Ends the collection. To be called before the tables are read.
  func finish() throws(MigrationError) {
    if let memory { try digest(memory.blocks) { _ in } }
    try contents.flush()
    try records?.flush()
  }

  /// A number for bytes that are not zero, which is not zero either.
  private func number(of bytes: Span<UInt8>) throws(MigrationError) -> UInt64 {
    max(1, try sealer.shortTag(over: bytes, nonce: AEADNonce(sequence: 0)))
  }

  /// - Parameter offset: a multiple of 4096. Only the last page of a block may be shorter.
  private func digest(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>
  ) throws(MigrationError) {
    var start = 0
    while start < bytes.count {
      let page = bytes.extracting(start..<min(start + Page.size, bytes.count))
      let number =
        page.isAllZero ? 0 : try self.number(of: page)
      try contents.set(number, block: block, page: (offset + UInt64(start)) / Page.size64)
      start += Page.size
    }
  }
}

extension PageRecordFacts {
  package init(_ page: PageMetadata) {
    (epoch, operation) = (page.epoch, page.operation)
    (size, permissions) = (page.size, page.permissions)
  }

  /// All of it in one number, which is never zero: permissions have no bit above the 28th.
  package var packed: UInt64 {
    UInt64(epoch) << 32 | UInt64(size.rawValue) << 31 | UInt64(operation.rawValue) << 29
      | UInt64(permissions.rawValue & VMPLPermissions.validMask)
  }

  /// - Returns: nil for the zero of a page without a record.
  package init?(packed: UInt64) {
    guard let operation = PageMetadata.Operation(rawValue: UInt8(packed >> 29 & 3)),
      let size = RMPPageSize(rawValue: UInt8(packed >> 31 & 1))
    else { return nil }
    (epoch, self.operation, self.size) = (UInt32(packed >> 32), operation, size)
    permissions = VMPLPermissions(
      rawValue: UInt32(truncatingIfNeeded: packed) & VMPLPermissions.validMask)
  }
}
