internal import Cryptography
package import Errors
internal import FileIO
package import QEMUStream
package import SVSM
package import Threads
package import Wire

/// Copies a plain QEMU stream and puts a seal behind the end of its sections, in one pass.
///
/// No byte of the stream changes. QEMU reads up to the end of the sections, then tries to read the
/// VM description and goes on without it, so it loads the sealed stream as it loads the other. It
/// is walked while it is copied: what is sealed was whole, and damage found later came later.
package struct PlainSealer {
  private var reader: QEMUStreamReader
  private let assembly: RAMAssembly
  private let output: any SparseOutput
  private let follower: ChunkFollower
  private var covered: UInt64 = 0
  private var trailer: [UInt8] = []

  /// - Parameters:
  ///   - reader: of the stream, nothing read yet.
  ///   - assembly: counts the pages that come; nothing taken in yet.
  ///   - output: gets the sealed stream.
  ///   - crew: hashes.
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
  ///   - signer: signs the seal, and is left as it is: sealing is no migration. Nil leaves the seal
  ///     unsigned.
  ///   - progress: told how many bytes of the stream are done.
  /// - Throws: what is wrong with the stream; `STREAM-KIND` for an SNP stream, which has a seal;
  ///   `SEAL-PRESENT`; `SECTION-LENGTH` when nothing tells where the sections end; `IO-WRITE`.
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

  /// Pages of the guest that are not in the stream: other channels bring them, or other files.
  package var missingPages: UInt64 {
    assembly.blocks.indices.reduce(0) { $0 + assembly.missingPages(of: $1) }
  }

  /// - Returns: false at the end.
  private mutating func step() throws(MigrationError) -> Bool {
    let event = try reader.next()
    try follower.advance()
    switch event {
    case .section(let header): try header.requirePlain()
    case .ram(.blockList):
      try assembly.begin(reader.ram, of: reader.configuration, into: nil)
    case .ram(let record): try assembly.take(record, from: reader.input)
    case .command(let command):
      if command.code == .postcopyRAMDiscard { try assembly.discard(command) }
    case .mappedPages(let block): try follower.consume(upTo: block.end)
    case .unreadable(let header):
      throw MigrationError(
        .sectionLength, "nothing tells where the sections end, to seal them there",
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
    case .end: return false
    case .configuration, .confidential: break
    }
    return true
  }
}

extension SectionHeader {
  /// Refuses the sections of an SNP stream.
  /// - Throws: `STREAM-KIND`.
  func requirePlain() throws(MigrationError) {
    guard let section = SNPSection(name), section != .ram else { return }
    throw MigrationError(
      .streamKind, "section of an SNP stream", in: .section(name), at: offset,
      expected: "a plain QEMU stream")
  }
}
