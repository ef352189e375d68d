internal import Wire

/// Writes the records of `ram` bodies. Names a block only where the block changes, as QEMU does,
/// also from one body to the next, so one encoder serves a whole stream. Its pages are x86's.
package struct RAMEncoder: Sendable {
  package let blocks: [RAMBlock]
  private var current: Int?

  package init(blocks: [RAMBlock]) { self.blocks = blocks }

  /// Tells that the page records before the next one are of `block`.
  package mutating func `continue`(block: Int) { current = block }

  /// The word with the sum of all lengths, then name and length of each block.
  package func appendBlockList(to output: inout [UInt8]) {
    output.append(bigEndian: blocks.reduce(0) { $0 &+ $1.length } | RAMFlags.memorySize)
    for block in blocks {
      output.append(name: block.name)
      output.append(bigEndian: block.length)
    }
  }

  /// The word that ends a body; a footer follows.
  package func appendEnd(to output: inout [UInt8]) { output.append(bigEndian: RAMFlags.end) }

  /// Bytes before the first page of a run at most: the word and a name.
  package static let maximumPrefix = 8 + 1 + 255
  /// Bytes of the word before a page of the same block as the one before.
  package static let continuedPrefix = 8

  /// Bytes before the content of the first page of a run, were it not zero.
  package func prefixSize(ofBlock block: Int) -> Int {
    current == block ? Self.continuedPrefix : 8 + 1 + blocks[block].name.bytes.count
  }

  /// Turns pages of one block into their records, in place: zero ones become short, the others move
  /// to the front as far as that makes room.
  ///
  /// - Parameters:
  ///   - buffer: holds the pages, each where it stays if none before it is zero: the first behind
  ///     room for `prefixSize` bytes, the others `continuedPrefix` bytes apart.
  ///   - start: where the records begin.
  ///   - page: the first of the pages, which follow each other in the block.
  ///   - count: how many there are, at least one.
  ///   - isHole: they are all zero and the buffer does not hold them.
  /// - Returns: bytes of the records, and how many of the pages are zero.
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
