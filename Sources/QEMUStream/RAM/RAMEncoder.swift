internal import Wire

/// Writes the records of `ram` bodies. Like QEMU, it names a block only when the block changes,
/// also across bodies, so one encoder serves a whole stream. The page size is that of x86.
package struct RAMEncoder: Sendable {
  package let blocks: [RAMBlock]
  private var current: Int?

  package init(blocks: [RAMBlock]) { self.blocks = blocks }

  /// Sets the block of the previous page record.
  package mutating func `continue`(block: Int) { current = block }

  /// Appends the word with the sum of all lengths, then the name and length of each block.
  package func appendBlockList(to output: inout [UInt8]) {
    output.append(bigEndian: blocks.reduce(0) { $0 &+ $1.length } | RAMFlags.memorySize)
    for block in blocks {
      output.append(name: block.name)
      output.append(bigEndian: block.length)
    }
  }

  /// Appends the word that ends a body; a footer follows.
  package func appendEnd(to output: inout [UInt8]) { output.append(bigEndian: RAMFlags.end) }

  /// Most bytes before the first page of a run: the word and a name.
  package static let maximumPrefix = 8 + 1 + 255
  /// Size in bytes of the word before a page of the same block as the previous page.
  package static let continuedPrefix = 8

  /// Number of bytes before the content of the first page of a run, if it is not zero.
  package func prefixSize(ofBlock block: Int) -> Int {
    current == block ? Self.continuedPrefix : 8 + 1 + blocks[block].name.bytes.count
  }

  /// Converts pages of one block to their records, in place. Zero pages become short records, and
  /// the other pages move to the front accordingly.
  ///
  /// - Parameters:
  ///   - buffer: holds the pages, each at the position of its content if no page before it is zero:
  ///     the first page after `prefixSize` bytes, each further page after another `continuedPrefix`
  ///     bytes.
  ///   - start: index in the buffer at which the records begin.
  ///   - page: the first page; the others follow it in the block.
  ///   - count: number of pages, at least one.
  ///   - isHole: whether all pages are zero and not in the buffer.
  /// - Returns: size of the records in bytes, and the number of zero pages.
  package mutating func encode(
    _ buffer: inout MutableSpan<UInt8>, at start: Int, _ page: RAMPage, count: Int, isHole: Bool
  ) -> (size: Int, zeros: Int) {
    var next = start
    var content = start + prefixSize(ofBlock: page.block)
    var zeros = 0
    for index in 0..<count {
      let place = RAMPage(
        block: page.block, offset: page.offset + UInt64(index * Page.size))
      let isZero =
        isHole || buffer.span.extracting(content..<content + Page.size).isAllZero
      next = put(place, isZero ? RAMFlags.zero : RAMFlags.page, &buffer, at: next)
      if isZero {
        buffer[next] = 0
        next += 1
        zeros += 1
      } else {
        buffer.move(Page.size, from: content, to: next)
        next += Page.size
      }
      content += Page.size + Self.continuedPrefix
    }
    return (next - start, zeros)
  }

  /// Writes the record of one page.
  /// - Parameters:
  ///   - content: 4096 bytes; nil for a page of zeros.
  ///   - start: index in the buffer at which the record begins; it takes at most `maximumPrefix`
  ///     bytes and a page.
  /// - Returns: size of the record in bytes, and whether the page is zero.
  package mutating func encode(
    _ page: RAMPage, _ content: Span<UInt8>?, into buffer: inout MutableSpan<UInt8>, at start: Int
  ) -> (size: Int, isZero: Bool) {
    guard let content, !content.isAllZero else {
      let next = put(page, RAMFlags.zero, &buffer, at: start)
      buffer[next] = 0
      return (next + 1 - start, true)
    }
    let next = put(page, RAMFlags.page, &buffer, at: start)
    buffer.copy(content, to: next)
    return (next + Page.size - start, false)
  }

  private mutating func put(
    _ page: RAMPage, _ type: UInt64, _ buffer: inout MutableSpan<UInt8>, at start: Int
  ) -> Int {
    let isSame = current == page.block
    buffer.put(bigEndian: page.offset | type | (isSame ? RAMFlags.continue : 0), at: start)
    current = page.block
    if isSame { return start + 8 }
    let name = blocks[page.block].name.bytes
    buffer[start + 8] = UInt8(name.count)
    for index in name.indices { buffer[start + 9 + index] = name[index] }
    return start + 9 + name.count
  }
}
