internal import Cryptography
internal import Errors
package import QEMUStream
package import SEVSNP
package import SVSM

/// A list that keeps a limited number of elements and counts the others, so that the memory used
/// does not depend on numbers in a stream.
package struct BoundedList<Element> {
  /// Most elements kept.
  package static var limit: Int { 1 << 17 }

  package private(set) var elements: [Element] = []
  /// Elements that were appended after the list was full.
  package private(set) var omitted: UInt64 = 0

  package init() {}

  package mutating func append(_ element: Element) {
    if elements.count < Self.limit { elements.append(element) } else { omitted += 1 }
  }

  /// Counts an element that is not kept, for a limit of the caller's own.
  package mutating func omit() { omitted += 1 }

  package var count: UInt64 { UInt64(elements.count) + omitted }

  /// Changes each element that is kept.
  mutating func update(
    _ body: (inout Element) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    for index in elements.indices { try body(&elements[index]) }
  }
}

/// Hashes the content of runs of pages as they are read.
final class RunDigest {
  private var digest: SHA256
  private var hasContent = false

  init() throws(MigrationError) { digest = try SHA256() }

  func update(_ content: Span<UInt8>) throws(MigrationError) {
    hasContent = true
    try digest.update(content)
  }

  /// The hash of the run that ends here; nil when it has no content.
  func finish() throws(MigrationError) -> [UInt8]? {
    guard hasContent else { return nil }
    hasContent = false
    return try digest.finish()
  }
}

/// Consecutive page records of consecutive pages, equal in all other fields.
package struct PrivateRun: Equatable {
  package var gpa: UInt64
  package var pages: UInt64
  package var epoch: UInt32
  package var operation: PageMetadata.Operation
  package var size: RMPPageSize
  package var permissions: VMPLPermissions
  /// SHA-256 of the pages, decrypted where the keys are known; nil unless it was requested, and of pages that
  /// are cancelled.
  package var hash: [UInt8]?

  package init(_ page: PageMetadata) {
    gpa = page.gpa
    pages = 1
    epoch = page.epoch
    operation = page.operation
    size = page.size
    permissions = page.permissions
  }

  /// Extends the run by the next record, if the record continues it.
  /// - Returns: whether the record continues the run.
  package mutating func join(_ page: PageMetadata) -> Bool {
    guard page.gpa == gpa &+ pages &* 4096, page.epoch == epoch, page.operation == operation,
      page.size == size, page.permissions == permissions
    else { return false }
    pages += 1
    return true
  }
}

/// Page records of the private pages section, joined into runs as they are read.
package struct PrivatePages {
  package private(set) var runs = BoundedList<PrivateRun>()
  package private(set) var counts = PageCounts()
  private var open: PrivateRun?
  /// Hashes the runs; nil for no hashes.
  var digest: RunDigest?

  /// Notes a page record.
  mutating func note(_ page: PageMetadata) {
    counts.add(page.operation)
    if open?.join(page) != true {
      close()
      open = PrivateRun(page)
    }
  }

  /// Notes a page record, and hashes its content.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  mutating func note(_ page: PageMetadata, _ content: Span<UInt8>) throws(MigrationError) {
    note(page)
    if page.operation != .cancel { try digest?.update(content) }
  }

  /// Appends the open run to the list.
  package mutating func close() {
    open?.hash = try? digest?.finish()
    if let open { runs.append(open) }
    open = nil
  }

  /// Pages that are exported and not cancelled, counted from the records' operations.
  package var pages: UInt64 {
    counts.migrated > counts.cancelled ? counts.migrated - counts.cancelled : 0
  }
}

/// Consecutive records of shared memory in one block and one epoch.
package struct SharedRun: Equatable {
  package var epoch: UInt32
  package var block: Int
  package var offset: UInt64
  /// Pages with content, in any encoding.
  package var content: UInt64 = 0
  /// Pages that are sent as zero.
  package var zero: UInt64 = 0
  /// SHA-256 of the pages; nil unless it was requested. That of a plain stream is of their last content.
  package var hash: [UInt8]?

  package var pages: UInt64 { content + zero }
}

/// Records of `ram` sections, joined into runs as they are read.
package struct SharedPages {
  package private(set) var runs = BoundedList<SharedRun>()
  package private(set) var content: UInt64 = 0
  package private(set) var zero: UInt64 = 0
  /// Size of the pages that are counted.
  package var page = TargetPage.x86
  /// The epoch of the pages that come next; 1 in a stream without epochs.
  package private(set) var epoch: UInt32 = 1
  private var open: SharedRun?
  /// Hashes the runs as they are read; nil for no hashes.
  var digest: RunDigest?

  /// Notes `count` consecutive pages, of which `place` is the first.
  package mutating func note(_ place: RAMPage, count: UInt64 = 1, isZero: Bool) {
    if isZero { zero += count } else { content += count }
    let follows = open.map {
      $0.block == place.block && place.offset == $0.offset &+ $0.pages &<< page.bits
    }
    if follows != true {
      close()
      open = SharedRun(epoch: epoch, block: place.block, offset: place.offset)
    }
    if isZero { open?.zero += count } else { open?.content += count }
  }

  /// Begins an epoch.
  package mutating func begin(epoch: UInt32) {
    close()
    self.epoch = epoch
  }

  /// Notes a page, and hashes its content.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  mutating func note(
    _ place: RAMPage, isZero: Bool, _ content: Span<UInt8>
  ) throws(MigrationError) {
    note(place, isZero: isZero)
    try digest?.update(content)
  }

  /// Hashes the runs that are kept, when all pages have come.
  mutating func hash(
    _ content: (SharedRun) throws(MigrationError) -> [UInt8]
  ) throws(MigrationError) {
    close()
    try runs.update { (run) throws(MigrationError) in run.hash = try content(run) }
  }

  /// Appends the open run to the list.
  package mutating func close() {
    open?.hash = try? digest?.finish()
    if let open { runs.append(open) }
    open = nil
  }
}

/// One section, or several consecutive parts of one section.
package struct SectionLine {
  package var header: SectionHeader
  /// Stream offset of the first body.
  package var bodyOffset: UInt64
  /// Bytes of all bodies.
  package var size: UInt64 = 0
  /// Number of sections that the line stands for.
  package var count: UInt64 = 1
  /// Whether the stream was refused before anything after the section was read. `size` is then the
  /// number of bytes read after the section's header.
  package var isCut = false
}

/// The sections of a stream in order. Consecutive parts of one section are one line, unless each
/// part is requested.
package struct SectionList {
  package private(set) var lines = BoundedList<SectionLine>()
  private let joinsParts: Bool
  private var line: SectionLine?
  /// The section whose end has not been read.
  private var current: SectionHeader?
  private var bodyOffset: UInt64 = 0

  package init(joinsParts: Bool) { self.joinsParts = joinsParts }

  /// Whether the section noted last begins at `offset`.
  package func isCurrent(_ offset: UInt64) -> Bool { current?.offset == offset }

  package mutating func begin(_ header: SectionHeader) {
    current = header
    bodyOffset = header.offset &+ SectionList.headerSize(header)
  }

  /// Notes that the part noted last is the first of `count` parts of the same section and size,
  /// which lie `stride` bytes apart.
  package mutating func beginFollowing(_ count: Int, stride: UInt64) {
    guard count > 1, var header = current else { return }
    let first = header.offset
    let body = bodyOffset - first
    end(at: first &+ stride)
    if joinsParts {
      line?.size += UInt64(count - 2) * (stride - 5 - body)
      line?.count += UInt64(count - 2)
      header.offset = first &+ UInt64(count - 1) &* stride
      begin(header)
    } else {
      for index in 1..<count {
        header.offset = first &+ UInt64(index) &* stride
        begin(header)
        if index < count - 1 { end(at: header.offset &+ stride) }
      }
    }
  }

  /// Closes the section noted last. Its footer lies directly before `end`.
  /// - Parameters:
  ///   - end: stream offset of the next record.
  ///   - footer: size of the footer in bytes.
  package mutating func end(at end: UInt64, footer: UInt64 = 5) {
    guard let header = current else { return }
    current = nil
    let size = end > bodyOffset &+ footer ? end - footer - bodyOffset : 0
    if joinsParts, header.kind == .part, line?.header.kind == .part, line?.header.id == header.id {
      line?.size += size
      line?.count += 1
      return
    }
    close()
    line = SectionLine(header: header, bodyOffset: bodyOffset, size: size)
  }

  /// Closes the section noted last, if it is open, as cut: the stream is refused at offset `place`.
  package mutating func cut(at place: UInt64) {
    guard let header = current else { return }
    current = nil
    close()
    let size = place > bodyOffset ? place - bodyOffset : 0
    line = SectionLine(header: header, bodyOffset: bodyOffset, size: size, isCut: true)
  }

  /// Appends the open line to the list.
  package mutating func close() {
    if let line { lines.append(line) }
    line = nil
  }

  private static func headerSize(_ header: SectionHeader) -> UInt64 {
    switch header.kind {
    case .part, .end: 5
    case .start, .full: 5 + 1 + UInt64(header.name.bytes.count) + 8
    }
  }
}
