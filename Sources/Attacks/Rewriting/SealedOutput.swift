internal import Cryptography
internal import Errors
internal import FileIO
internal import Migration
internal import SVSM
internal import Wire

/// Counts and hashes the bytes that are written, so that a new seal can be made.
struct SealedOutput: ~Copyable {
  private let output: any ByteOutput
  private var chunk: [UInt8] = []
  /// The leaves of the chunks that are complete.
  private(set) var leaves = LeafList()
  private(set) var offset: UInt64 = 0
  private var isHashing = true

  init(_ output: any ByteOutput) { self.output = output }

  mutating func write(_ bytes: [UInt8]) throws(MigrationError) {
    try output.write(bytes)
    offset += UInt64(bytes.count)
    guard isHashing else { return }
    var rest = bytes[...]
    while !rest.isEmpty {
      let next = rest.prefix(Seal.chunkSize - chunk.count)
      chunk += next
      rest = rest.dropFirst(next.count)
      guard chunk.count == Seal.chunkSize else { break }
      leaves.append(try SHA256.hash([0] + chunk))
      chunk.removeAll(keepingCapacity: true)
    }
  }

  /// The leaves of everything that was written. What is written later is not hashed.
  mutating func finishHashing() throws(MigrationError) -> LeafList {
    if !chunk.isEmpty { leaves.append(try SHA256.hash([0] + chunk)) }
    chunk = []
    isHashing = false
    return leaves
  }
}
