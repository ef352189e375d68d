internal import Cryptography
package import Errors
internal import FileIO
package import QEMUStream
package import SVSM
package import Threads
package import Wire

/// Copies a plain QEMU stream and inserts a seal after the end of its sections, in one pass.
///
/// No byte of the stream changes. QEMU reads up to the end of the sections, then tries to read the
/// VM description and continues without it, so it loads the sealed stream like the original one.
/// The stream is parsed while it is copied: a stream that gets a seal is whole, and damage found
/// later has happened later.
package struct PlainSealer {
  private var reader: QEMUStreamReader
  private let assembly: RAMAssembly
  private let output: any SparseOutput
  private let follower: ChunkFollower
  private var covered: UInt64 = 0
  private var trailer: [UInt8] = []

  /// - Parameters:
  ///   - reader: the reader of the stream, from which nothing has been read yet.
  ///   - assembly: counts the pages that come; nothing has been added yet.
  ///   - output: receives the sealed stream.
  ///   - crew: the worker threads that hash.
  package init(
    _ reader: QEMUStreamReader, _ assembly: RAMAssembly, to output: any SparseOutput, crew: WorkCrew
  ) {
    self.reader = reader
    self.assembly = assembly
    self.output = output
    follower = ChunkFollower(reader.input, copy: output, crew: crew)
  }

  /// Reads and writes the whole stream.
  /// - Parameters:
  ///   - signer: the instance that signs the seal. Its stage does not change, because sealing is
  ///     not a migration. nil leaves the seal unsigned.
  ///   - progress: called with the number of bytes of the stream that are done.
  /// - Throws: what is wrong with the stream; `STREAM-KIND` for an SNP stream, which has a seal of
  ///   its own; `SEAL-PRESENT`; `SECTION-LENGTH` when the end of the sections cannot be found;
  ///   `IO-WRITE`.
  package mutating func seal(
    signedBy signer: SVSMInstance?, progress: (UInt64) -> Void
  ) throws(MigrationError) -> Seal {
    while try step() { progress(reader.input.offset) }
    let leaves = follower.leaves
    let seal = try Seal(
      coveredLength: covered, root: HashTree.root(of: leaves), trailer: trailer,
      signer: signer?.offer.publicKey)
    try output.write(seal.encoded)
    try leaves.write(to: output)
    if let signer { try output.write(signer.sign(seal, as: .plain)) }
    try output.write(trailer)
    return seal
  }

  /// Zero bytes that followed the stream: they are not in the sealed one.
  package var padding: UInt64 { reader.padding }

  /// Number of pages of the guest that are not in the stream: they come in other channels or files.
  /// - Throws: `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  package func missingPages() throws(MigrationError) -> UInt64 {
    var missing: UInt64 = 0
    for block in assembly.blocks.indices { missing += try assembly.missingPages(of: block) }
    return missing
  }

  /// - Returns: false at the end.
  private mutating func step() throws(MigrationError) -> Bool {
    let event = try reader.next()
    try follower.advance()
    switch event {
    case .section(let header):
      try header.requirePlain()
      try assembly.take(header, from: &reader)
    case .ram(.blockList):
      try assembly.begin(reader.ram, of: reader.configuration, into: nil)
    case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
    case .command(let command):
      if command.code == .postcopyRAMDiscard { try assembly.discard(command) }
    case .mappedPages(let block): try follower.consume(upTo: block.end)
    case .unreadable(let header):
      throw MigrationError(
        .sectionLength, "the end of the sections, and so the place for a seal, is unknown",
        in: .section(header.name), at: header.offset,
        expected: "footers, or a VM description at the end of a regular file")
    case .endOfSections:
      let input = reader.input
      guard try !Seal.begins(input) else {
        throw MigrationError(.sealPresent, "stream is sealed already", at: input.offset)
      }
      covered = input.offset - follower.start
      try follower.end()
    case .description(let size):
      _ = try reader.requireDescription()
      let input = reader.input
      trailer = StreamGrammar.TextHeader(.vmdescription, length: size).bytes
      trailer.append(copying: input.bytes.extracting(first: size))
    case .end:
      try assembly.finish()
      return false
    case .configuration, .confidential: break
    }
    return true
  }
}

extension SectionHeader {
  /// Refuses a section of an SNP stream.
  /// - Throws: `STREAM-KIND`.
  func requirePlain() throws(MigrationError) {
    guard let section = SNPSection(name), section != .ram else { return }
    throw MigrationError(
      .streamKind, "section of an SNP stream", in: .section(name), at: offset,
      expected: "a plain QEMU stream")
  }
}
