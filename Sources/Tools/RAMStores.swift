internal import Bytes
internal import Cryptography
internal import FileIO
internal import Guest
internal import QEMUStream

/// RAM of a stream that is only looked at, in a file without a name.
final class TemporaryRAM: RAMStore {
  /// Bytes of all blocks together that are put together at most: what file systems can hold.
  private static let limit: UInt64 = 8 << 40

  private let file: TemporaryFile
  /// Where each block begins in the file.
  private var starts: [UInt64] = []

  /// - Parameter offset: where in the stream the list of blocks ends.
  /// - Throws: `RAM-LIST` for more memory than a file can have; `OUTPUT-CREATE`, `IO-WRITE`.
  init(blocks: [QEMUStream.RAMBlock], listedAt offset: UInt64) throws(MigrationError) {
    var end: UInt64 = 0
    for block in blocks {
      guard block.length <= Self.limit - end else {
        throw MigrationError(
          .ramList, "guest has more memory than is put together here", section: "ram",
          at: offset, expected: "at most \(Spelled.size(Self.limit))")
      }
      starts.append(end)
      end += block.length
    }
    file = try TemporaryFile(size: end)
  }

  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    try file.write(bytes, at: starts[block] + offset)
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try file.read(at: starts[block] + offset, into: &buffer)
  }

  /// SHA-256 of `length` bytes of a block.
  func hash(block: Int, length: UInt64) throws(MigrationError) -> [UInt8] {
    var digest = try SHA256()
    let buffer = PageBuffer(count: 256 << 10)
    var offset: UInt64 = 0
    while offset < length {
      let count = Int(min(UInt64(buffer.count), length - offset))
      var target = buffer.mutableSpan(0..<count)
      try read(block: block, at: offset, into: &target)
      try digest.update(buffer.span.extracting(first: count))
      offset += UInt64(count)
    }
    return try digest.finish()
  }
}

/// The memory of a guest that is being made.
final class GuestRAM: RAMStore {
  private let memory: any GuestMemoryOutput

  init(_ memory: any GuestMemoryOutput) { self.memory = memory }

  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    try memory.write(block: block, at: offset, bytes)
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try memory.read(block: block, at: offset, into: &buffer)
  }
}
