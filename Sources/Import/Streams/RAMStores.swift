package import Errors
package import Guest
package import QEMUStream
internal import Wire

extension RAMDecoder {
  /// Refuses a guest with more memory than a file can have, before memory is made for it.
  /// - Parameter offset: stream offset of the end of the block list.
  /// - Throws: `RAM-LIST`.
  package func requireMemory(at offset: UInt64) throws(MigrationError) {
    try Self.requireMemory(blocks.map(\.length), at: offset)
  }

  /// The same of parts of so many bytes.
  static func requireMemory(_ sizes: [UInt64], at offset: UInt64) throws(MigrationError) {
    let total = sizes.reduce((sum: UInt64(0), isLess: true)) { total, size in
      let (sum, overflow) = total.sum.addingReportingOverflow(size)
      return (sum, total.isLess && !overflow)
    }
    guard total.isLess, total.sum <= TemporaryMemory.limit else {
      throw MigrationError(
        .ramList, "guest memory exceeds the supported size", in: .ram, at: offset,
        expected: "at most \(TemporaryMemory.limit >> 40) TiB")
    }
  }
}

/// The memory of a guest, while it is put together from a stream.
package final class GuestRAM: RAMStore {
  private let memory: any GuestMemoryOutput

  package init(_ memory: any GuestMemoryOutput) { self.memory = memory }

  package func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    try memory.write(block: block, at: offset, bytes)
  }

  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try memory.read(block: block, at: offset, into: &buffer)
  }
}
