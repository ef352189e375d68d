internal import Errors
internal import QEMUStream
internal import Wire

/// A part of a `ram` section that is composed page by page and sent as soon as it is full.
struct RAMPart {
  private static let pages = pagesPerBatch
  private static let head = StreamGrammar.PartHeader.size
  /// Size of the word that ends the body, and of the footer.
  private static let foot = BE64.size + StreamGrammar.Footer.size

  private let id: UInt32
  private(set) var encoder: RAMEncoder
  private let buffer = PageBuffer(
    count: head + pages * (RAMEncoder.maximumPrefix + Page.size) + foot)
  private var size = 0
  /// Number of pages in the part.
  private(set) var count = 0

  /// - Parameters:
  ///   - encoder: in its state at the place of the first part.
  ///   - id: id of the section.
  init(_ encoder: RAMEncoder, id: UInt32) { (self.encoder, self.id) = (encoder, id) }

  var isFull: Bool { count == Self.pages }

  /// Appends a page. Precondition: the part is not full.
  /// - Parameter content: 4096 bytes; nil for a page of zeros.
  /// - Returns: whether the page is zero.
  mutating func append(_ page: RAMPage, _ content: Span<UInt8>?) -> Bool {
    let buffer = self.buffer
    var bytes = buffer.mutableSpan
    if count == 0 {
      bytes.put(StreamGrammar.PartHeader(.part, id: id), at: 0)
      size = Self.head
    }
    let record = encoder.encode(page, content, into: &bytes, at: size)
    size += record.size
    count += 1
    return record.isZero
  }

  /// Sends the part, if it has pages, and begins the next one.
  mutating func send(
    _ emit: (Span<UInt8>) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    guard count > 0 else { return }
    let buffer = self.buffer
    var bytes = buffer.mutableSpan
    bytes.put(bigEndian: RAMFlags.end, at: size)
    bytes.put(StreamGrammar.Footer(id: id), at: size + BE64.size)
    count = 0
    try emit(buffer.span.extracting(first: size + Self.foot))
  }
}
