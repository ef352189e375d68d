internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// Number of pages in one work item: 256 KiB of guest memory.
let pagesPerBatch = 64

/// Divides a part of a RAM block into batches; each is either read or a hole as a whole.
struct BatchCursor {
  private var rest: BlockExtent
  /// Offset up to which it is known whether the memory is a hole.
  private var known: UInt64
  private var isHole = false

  init(_ extent: BlockExtent) {
    rest = extent
    known = extent.offset
  }

  /// The next batch; nil at the end.
  /// - Parameters:
  ///   - pages: largest number of pages in a batch that is read.
  ///   - holePages: largest number of pages in a batch that is a hole.
  mutating func next(
    of memory: any PageMemory, pages: Int, holePages: Int
  ) throws(MigrationError) -> (place: BlockExtent, isHole: Bool)? {
    if rest.size == 0 { return nil }
    if rest.offset == known {
      (known, isHole) = try memory.stretch(block: rest.block, from: rest.offset, to: rest.end)
    }
    let limit = UInt64(isHole ? holePages : pages) * Page.size64
    let size = min(known - rest.offset, limit)
    defer {
      rest.offset += size
      rest.size -= size
    }
    return (BlockExtent(block: rest.block, offset: rest.offset, size: size), isHole)
  }
}

/// Memory of a guest that a source reads: of a guest at rest, or behind one that runs.
protocol PageMemory: Sendable {
  /// Fills `buffer` with the memory of a RAM block that begins at `offset`.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError)

  /// The next range of a RAM block that begins at `offset`, as `BlockFiles.stretch` finds it.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  func stretch(
    block: Int, from offset: UInt64, to end: UInt64
  ) throws(MigrationError) -> (end: UInt64, isHole: Bool)

  /// Checks that no file of memory has become shorter since it was opened.
  /// - Throws: `IO-READ`.
  func requireSizes() throws(MigrationError)
}

extension GuestReader: PageMemory {}
extension BlockFiles: PageMemory {}

/// A batch of private pages that are packaged and framed, or withdrawn: one part of the section for
/// each page.
final class PrivateBatch: WorkItem, @unchecked Sendable {
  static let pageStride = SNPStreamReader.pageStride

  /// Where the content of the pages is.
  enum Content {
    /// In the guest's memory, from which the worker reads it.
    case memory
    /// In `plaintext`.
    case held
    /// The pages are zero.
    case zero
    /// The pages are withdrawn: their records have no content.
    case withdrawn
  }

  let export: PageExport
  let plaintext = PageBuffer(count: pagesPerBatch * PageMetadata.pageSize)
  private let memory: (any PageMemory)?
  /// The buffer that takes the parts, from `position` on.
  private let ring: PageBuffer
  var position = 0
  /// Stream offset of the first part.
  var offset: UInt64 = 0
  /// Place of the pages in a RAM block.
  var place = BlockExtent(block: 0, offset: 0, size: 0)
  var content = Content.memory
  private(set) var error: MigrationError?

  /// - Parameter memory: the guest's memory; nil when all content is held.
  init(_ export: PageExport, from memory: (any PageMemory)?, into ring: PageBuffer) {
    self.export = export
    self.memory = memory
    self.ring = ring
  }

  var pages: Int { Int(place.size) / PageMetadata.pageSize }
  /// Size of the parts in bytes.
  var size: Int { pages * Self.pageStride }

  override func perform() {
    do throws(MigrationError) {
      let bytes = 0..<(content == .withdrawn ? 0 : Int(place.size))
      let (plaintext, ring) = (plaintext, ring)
      switch content {
      case .zero: plaintext.zero(bytes)
      case .memory:
        var pages = plaintext.mutableSpan(bytes)
        try memory?.read(block: place.block, at: place.offset, into: &pages)
      case .held, .withdrawn: break
      }
      var parts = ring.mutableSpan(position..<position + size)
      let id = SNPSection.pages.id
      let (header, footer) = (
        StreamGrammar.PartHeader(.part, id: id), StreamGrammar.Footer(id: id)
      )
      for index in 0..<pages {
        let start = index * Self.pageStride
        parts.put(header, at: start)
        parts.put(footer, at: start + Self.pageStride - StreamGrammar.Footer.size)
      }
      try export.package(
        plaintext.span.extracting(bytes), into: &parts, at: StreamGrammar.PartHeader.size,
        stride: Self.pageStride)
    } catch {
      self.error = error
    }
  }
}

/// A batch of private pages that are read and compared with what was exported of them.
final class CheckBatch: WorkItem, @unchecked Sendable {
  let check: PageCheck
  private let plaintext = PageBuffer(count: pagesPerBatch * PageMetadata.pageSize)
  private let memory: any PageMemory
  /// Place of the pages in a RAM block.
  var place = BlockExtent(block: 0, offset: 0, size: 0)
  /// Whether the pages are a hole: they are zero and are not read.
  var isHole = false
  private(set) var error: MigrationError?

  init(_ check: PageCheck, of memory: any PageMemory) {
    (self.check, self.memory) = (check, memory)
  }

  override func perform() {
    do throws(MigrationError) {
      let bytes = 0..<Int(place.size)
      let plaintext = plaintext
      if isHole {
        plaintext.zero(bytes)
      } else {
        var pages = plaintext.mutableSpan(bytes)
        try memory.read(block: place.block, at: place.offset, into: &pages)
      }
      try check.compare(plaintext.span.extracting(bytes))
    } catch {
      self.error = error
    }
  }
}

/// A batch of shared pages that are read, searched for zero pages and encoded as records of the
/// `ram` section.
final class SharedBatch: WorkItem, @unchecked Sendable {
  /// Largest number of pages of a hole in one work item: a whole part of the section.
  static let pagesPerHole = 16384
  private static let head = StreamGrammar.PartHeader.size
  /// Size of the flags that end the pages of a part, and of the footer.
  private static let foot = BE64.size + StreamGrammar.Footer.size

  private let guest: GuestReader
  private let buffer = PageBuffer(
    count: head + RAMEncoder.maximumPrefix
      + pagesPerBatch * (RAMEncoder.continuedPrefix + Page.size) + foot)
  /// The encoder in its state at the place of these records.
  var encoder = RAMEncoder(blocks: [])
  var place = BlockExtent(block: 0, offset: 0, size: 0)
  /// Whether the pages are a hole: they are zero and are not read.
  var isHole = false
  /// Whether a part of the section begins before the pages, and whether it ends after them.
  var beginsPart = false
  var endsPart = false
  /// Id of the section.
  private let id: UInt32
  private let hasFooters: Bool
  /// Number of pages that are zero.
  private(set) var zeros = 0
  private(set) var error: MigrationError?

  init(from guest: GuestReader, id: UInt32, hasFooters: Bool = true) {
    (self.guest, self.id, self.hasFooters) = (guest, id, hasFooters)
  }

  var pages: Int { Int(place.size) / Page.size }

  /// Size of the records in bytes.
  private(set) var size = 0
  /// The buffer with the records, which begin at its first byte.
  var records: PageBuffer { buffer }

  override func perform() {
    do throws(MigrationError) {
      let buffer = self.buffer
      var bytes = buffer.mutableSpan
      size = 0
      if beginsPart {
        bytes.put(StreamGrammar.PartHeader(.part, id: id), at: 0)
        size = Self.head
      }
      if !isHole {
        let pieces = SpacedPieces(
          start: size + encoder.prefixSize(ofBlock: place.block), size: Page.size,
          stride: RAMEncoder.continuedPrefix + Page.size, count: pages)
        try guest.read(block: place.block, at: place.offset, into: &bytes, pieces)
      }
      let records = encoder.encode(
        &bytes, at: size, RAMPage(block: place.block, offset: place.offset), count: pages,
        isHole: isHole)
      size += records.size
      zeros = records.zeros
      if endsPart {
        bytes.put(bigEndian: RAMFlags.end, at: size)
        size += BE64.size
        if hasFooters {
          bytes.put(StreamGrammar.Footer(id: id), at: size)
          size += StreamGrammar.Footer.size
        }
      }
    } catch {
      self.error = error
    }
  }
}
