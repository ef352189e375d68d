package import Errors
internal import Migration
package import QEMUStream
internal import SVSM
package import Threads

/// Reads a plain QEMU stream to its end and puts its RAM together: what an import and an export have
/// in common.
package final class MemoryWalk {
  private let input: QEMUInput
  private let allowsIncomplete: Bool
  private let crew: WorkCrew
  package let assembly: RAMAssembly
  package private(set) var reader: QEMUStreamReader
  /// Why the stream is not whole, where that is allowed.
  package private(set) var shortfall: MigrationError?

  /// - Parameters:
  ///   - allowsIncomplete: whether a stream that ends early is read as far as it goes.
  ///   - crew: the threads that read and write.
  /// - Throws: `IO-READ`.
  package init(
    _ input: QEMUInput, allowsIncomplete: Bool = false, crew: WorkCrew
  ) throws(MigrationError) {
    self.input = input
    self.allowsIncomplete = allowsIncomplete
    self.crew = crew
    assembly = input.assembly()
    reader = try input.reader()
  }

  /// Reads all of it. Whether all pages came is for the caller to ask.
  /// - Parameters:
  ///   - memory: makes what the pages are written to, once the blocks are known: `reader.ram`.
  ///   - take: told each event, before the next one is asked for.
  ///   - progress: told the bytes of the stream that are read.
  /// - Throws: what is wrong with the stream; `STREAM-KIND` for an SNP stream; `IMAGE-PARTIAL` for an
  ///   image that libvirt did not finish; `RAM-LIST` for a stream without RAM, or with more than can
  ///   be put together; what the closures throw.
  package func run(
    memory: (QEMUStreamReader) throws(MigrationError) -> any RAMStore,
    taking take: (StreamEvent, inout QEMUStreamReader) throws(MigrationError) -> Void = { _, _ in },
    progress: (UInt64) -> Void
  ) throws(MigrationError) {
    // The caller may discard the memory after an error: no write may be in progress then.
    defer { assembly.stop() }
    try read { () throws(MigrationError) in try input.requireWholeImage() }
    try read { () throws(MigrationError) in
      do throws(MigrationError) {
        while try step(memory, take, progress) {}
      } catch {
        throw input.explain(error)
      }
    }
    guard !assembly.blocks.isEmpty else {
      if let shortfall { throw shortfall }
      throw MigrationError(
        .ramList, "stream has no RAM", at: reader.input.offset, expected: "section ram")
    }
    try read { () throws(MigrationError) in try assembly.finish() }
    try assembly.flush()
  }

  /// Bytes of each RAM block that never came, where there are any, in list order.
  /// - Throws: `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  package func missing() throws(MigrationError) -> [(name: SectionName, bytes: UInt64)] {
    var found: [(name: SectionName, bytes: UInt64)] = []
    for block in assembly.blocks.indices {
      let bytes = try missingBytes(of: block)
      if bytes > 0 { found.append((assembly.blocks[block].name, bytes)) }
    }
    return found
  }

  /// Bytes of a block that never came.
  package func missingBytes(of block: Int) throws(MigrationError) -> UInt64 {
    try assembly.missingPages(of: block) * UInt64(assembly.page.size)
  }

  /// Does a part of the work; what it lacks is noted where that is allowed.
  private func read(_ body: () throws(MigrationError) -> Void) throws(MigrationError) {
    do throws(MigrationError) {
      try body()
    } catch {
      guard allowsIncomplete, error.code.saysIncomplete else { throw error }
      if shortfall == nil { shortfall = error }
    }
  }

  /// - Returns: false at the end.
  private func step(
    _ memory: (QEMUStreamReader) throws(MigrationError) -> any RAMStore,
    _ take: (StreamEvent, inout QEMUStreamReader) throws(MigrationError) -> Void,
    _ progress: (UInt64) -> Void
  ) throws(MigrationError) -> Bool {
    let event = try reader.next()
    if case .section(let header) = event {
      progress(reader.input.offset)
      if header.name == "snp-session" {
        throw MigrationError(
          .streamKind, "an SNP stream is for svsm-mig-load", in: .section(header.name),
          at: header.offset, expected: "a plain QEMU stream")
      }
    }
    try take(event, &reader)
    switch event {
    case .section(let header): try assembly.take(header, from: &reader)
    case .ram(.blockList):
      let store = try memory(reader)
      try assembly.begin(reader.ram, of: reader.configuration, into: store, crew: crew)
    case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
    case .command(let command) where command.code == .postcopyRAMDiscard:
      try assembly.discard(command)
    case .description: _ = try reader.requireDescription()
    case .endOfSections:
      _ = try Seal.readIfPresent(from: reader.input, streamStart: input.start)
    case .unreadable(let header): assembly.unreadable = header
    case .configuration, .command, .confidential, .mappedPages: break
    case .end: return false
    }
    return true
  }
}

extension ErrorCode {
  /// Whether the code means only that a stream is incomplete.
  package var saysIncomplete: Bool {
    switch self {
    case .streamTruncated, .imagePartial, .ramMissing: true
    default: false
    }
  }
}
