internal import Bytes
internal import Cryptography
internal import QEMUStream
internal import Threads

/// Hashes a stream while it is read, then holds its seal against it.
final class SealCheck {
  private let input: StreamInput
  private let hasher: LeafHasher
  /// Chunks that may be pinned at once.
  private let pendingLimit: Int
  /// Stream offset of the first byte that was not given to the hasher.
  private var next: UInt64
  private var hasEnded = false
  private var seal: Seal?

  /// Begins to hash everything `input` consumes from now on, its first byte.
  init(_ input: StreamInput, crew: WorkCrew) {
    self.input = input
    hasher = LeafHasher(crew)
    pendingLimit = 4 + 4 * crew.jobs
    next = input.offset
    input.keepConsumed()
  }

  /// Stream offset from which on `advance` has something to do; none once the stream has ended.
  var due: UInt64 { hasEnded ? .max : next + UInt64(LeafHasher.chunkSize) }

  /// Hands over the chunks that are consumed. To be called often: until then they take memory.
  func advance() throws(MigrationError) {
    while input.offset >= due {
      try submit(LeafHasher.chunkSize)
      input.release(before: next)
    }
  }

  /// The covered bytes end here.
  func streamEnds() throws(MigrationError) {
    try advance()
    if input.offset > next { try submit(Int(input.offset - next)) }
    input.stopKeeping()
    hasEnded = true
    while hasher.pendingCount > 0 { try finishOldest() }
  }

  private func submit(_ count: Int) throws(MigrationError) {
    if hasher.pendingCount >= pendingLimit { try finishOldest() }
    guard let bytes = input.pin(at: next, count: count) else {
      throw MigrationError(.internal, "a chunk of the stream is not at hand", at: next)
    }
    try hasher.submit(bytes)
    next += UInt64(count)
  }

  private func finishOldest() throws(MigrationError) {
    if let bytes = try hasher.finishOldest() { input.unpin(bytes) }
  }

  /// Reads a seal at the input's place; with a `check` also holds it against the stream.
  /// - Throws: `SEAL-MISSING`, `SEAL-SYNTAX`, `SEAL-LENGTH`, `SEAL-ROOT`, `SEAL-CHUNK`,
  ///   `SEAL-SIGNER`, `SEAL-SIGNATURE`.
  static func read(
    from input: StreamInput, check: SealCheck?, sourceKey: [UInt8]
  ) throws(MigrationError) -> Seal {
    let start = input.offset
    guard try input.peekByte() == Seal.magic[0] else {
      throw MigrationError(.sealMissing, "no seal after the end of the sections", at: start)
    }
    let fixed = try input.readArray(Seal.layout.size)
    let span = fixed.span
    var cursor = ByteCursor(span, at: start)
    let seal = try Seal(from: &cursor)
    guard seal.coveredLength == start else {
      throw MigrationError(
        .sealLength, "seal covers another length", section: "seal", at: start + 24,
        expected: "\(start)", got: "\(seal.coveredLength)")
    }
    let leavesOffset = input.offset
    let leaves = try readLeaves(seal.chunkCount, from: input)
    let signatureOffset = input.offset
    let signature = seal.signer == nil ? [] : try input.readArray(Seal.signatureSize)
    guard try HashTree.root(of: leaves) == seal.root else {
      throw MigrationError(
        .sealRoot, "seal's leaves do not give its root", section: "seal", at: leavesOffset)
    }
    if let check {
      try check.compare(leaves, covering: seal.coveredLength)
      check.seal = seal
    }
    guard seal.signer == sourceKey else {
      throw MigrationError(
        .sealSigner, "seal is not by the source of this session", section: "seal", at: start + 112)
    }
    guard try seal.isSigned(signature) else {
      throw MigrationError(
        .sealSignature, "seal's signature is wrong", section: "seal", at: signatureOffset)
    }
    return seal
  }

  /// Reads the leaves piece by piece, so that nothing is allocated for leaves that are not there.
  private static func readLeaves(
    _ count: UInt64, from input: StreamInput
  ) throws(MigrationError) -> [UInt8] {
    var leaves: [UInt8] = []
    var left = count
    while left > 0 {
      let step = min(left, 2048)
      leaves += try input.readArray(Int(step) * LeafHasher.hashSize)
      left -= step
    }
    return leaves
  }

  private func compare(_ leaves: [UInt8], covering length: UInt64) throws(MigrationError) {
    let mine = hasher.leaves
    let size = LeafHasher.hashSize
    for start in stride(from: 0, to: min(leaves.count, mine.count), by: size)
    where leaves[start..<start + size] != mine[start..<start + size] {
      let first = UInt64(start / size * LeafHasher.chunkSize)
      let last = min(first + UInt64(LeafHasher.chunkSize), length)
      throw MigrationError(
        .sealChunk, "bytes up to 0x\(String(last, radix: 16)) are not those that were sealed",
        section: "seal", at: first)
    }
    guard leaves.count == mine.count else {
      throw MigrationError(.sealLength, "seal covers another length", section: "seal")
    }
  }

  /// Holds the VM description record against the seal.
  /// - Throws: `SEAL-TRAILER`.
  func checkTrailer(
    length: Int, text: Span<UInt8>, at offset: UInt64
  ) throws(MigrationError) {
    var hash = try SHA256()
    var head = [RecordType.vmdescription.rawValue]
    head.append(bigEndian: UInt32(truncatingIfNeeded: length))
    try hash.update(head)
    try hash.update(text)
    guard seal?.trailerLength == UInt64(length) + 5, try hash.finish() == seal?.trailerHash else {
      throw MigrationError(
        .sealTrailer, "VM description is not the one that was sealed", at: offset)
    }
  }
}
