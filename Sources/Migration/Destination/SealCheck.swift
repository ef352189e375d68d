internal import Cryptography
package import Errors
package import QEMUStream
package import SVSM
internal import Threads
internal import Wire

/// Hashes a stream while it is read, then compares the stream with its seal.
final class SealCheck {
  private let follower: ChunkFollower
  private var seal: Seal?

  /// Begins to hash everything that `input` consumes from here on.
  init(_ input: StreamInput, crew: WorkCrew) {
    follower = ChunkFollower(input, crew: crew)
  }

  /// Stream offset from which on `advance` has work to do; `UInt64.max` once the stream has ended.
  var due: UInt64 { follower.due }

  /// Hands consumed chunks over for hashing. Call it often: consumed chunks take memory until then.
  func advance() throws(MigrationError) { try follower.advance() }

  /// Consumes the bytes before `offset` and hands them over for hashing.
  func consume(upTo offset: UInt64) throws(MigrationError) { try follower.consume(upTo: offset) }

  /// Consumes the chunks of a hole without reading them, if a hole is next.
  func passHole() throws(MigrationError) { try follower.passHole() }

  /// Ends the covered bytes at the current position.
  func streamEnds() throws(MigrationError) { try follower.end() }

  /// Number of bytes that are hashed.
  var length: UInt64 { follower.length }

  /// Hashes all bytes of an input.
  /// - Parameter progress: called with the number of bytes that are done.
  func follow(_ input: StreamInput, _ progress: (UInt64) -> Void) throws(MigrationError) {
    try follower.follow(input, progress)
  }

  /// Stops hashing, because there is no seal to compare with.
  func giveUp() { follower.stop() }

  /// Reads a seal at the input's position; with a `check` it also compares the seal with the
  /// stream.
  /// - Parameters:
  ///   - kind: the kind of the stream.
  ///   - signer: the key that must have signed the seal; nil accepts any signer, and none.
  ///   - streamStart: offset of the stream's first byte.
  ///   - length: bytes that the seal must cover; nil for those from the stream's start to the seal.
  ///   - refuse: called with each check that fails, and with each damaged chunk.
  /// - Throws: `SEAL-MISSING`, `SEAL-SYNTAX`, `SEAL-LENGTH`, `SEAL-ROOT`, `SEAL-CHUNK`,
  ///   `SEAL-SIGNER`, `SEAL-SIGNATURE`.
  static func read(
    from input: StreamInput, of kind: Seal.Kind, check: SealCheck?, signer: [UInt8]?,
    streamStart: UInt64 = 0, covering length: UInt64? = nil,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) -> Seal {
    let start = input.offset
    let length = length ?? start - streamStart
    guard try Seal.begins(input) else { throw try Seal.missing(at: input) }
    let fixed = try input.readArray(Seal.Layout.size)
    let span = fixed.span
    var cursor = ByteCursor(span, at: start)
    let seal = try Seal(from: &cursor)
    if seal.coveredLength != length {
      let error = MigrationError(
        .sealLength, "seal covers a different length", in: .seal,
        at: Seal.Layout.offset(of: \.coveredLength, from: start),
        expected: "\(length)", got: "\(seal.coveredLength)")
      // The bytes that are there limit how many leaves are read: at most about twice theirs.
      guard seal.coveredLength / 2 <= length else { throw error }
      try refuse(error)
    }
    let leavesOffset = input.offset
    let leaves = try readLeaves(seal.chunkCount, from: input)
    let signatureOffset = input.offset
    let signature = seal.signer == nil ? [] : try input.readArray(Seal.signatureSize)
    let root = try HashTree.root(of: leaves)
    if root != seal.root {
      try refuse(
        MigrationError(
          .sealRoot, "seal's leaves do not give its root", in: .seal, at: leavesOffset,
          expected: short(seal.root), got: short(root)))
    }
    if let check {
      // Damaged leaves tell nothing about chunks that give the seal's root.
      let own = check.follower.leaves
      let isWhole = try (own == leaves ? root : HashTree.root(of: own)) == seal.root
      if root == seal.root || !isWhole {
        try check.compare(leaves, covering: seal.coveredLength, refuse)
      }
      check.seal = seal
    }
    if signer != nil, seal.signer != signer {
      try refuse(
        MigrationError(
          .sealSigner, seal.signer == nil ? "seal is not signed" : "seal is signed by another key",
          in: .seal, at: Seal.Layout.offset(of: \.signer, from: start),
          expected: signer.map { "key \(short($0))" },
          got: seal.signer.map { "key \(short($0))" } ?? "none"))
    }
    let isGood = seal.signer == nil ? true : try seal.isSigned(signature, as: kind)
    if !isGood {
      try refuse(
        MigrationError(
          .sealSignature, "seal's signature is wrong", in: .seal, at: signatureOffset))
    }
    return seal
  }

  /// Reads the leaves piece by piece, so that nothing is allocated for leaves that do not exist.
  private static func readLeaves(
    _ count: UInt64, from input: StreamInput
  ) throws(MigrationError) -> LeafList {
    let size = LeafHasher.hashSize
    var leaves = LeafList()
    while leaves.count < count {
      let left = count - leaves.count
      let hole = min(left, try input.holeAhead() / UInt64(size))
      if hole > 0 {
        input.passHole(hole * UInt64(size))
        leaves.append([UInt8](repeating: 0, count: size), count: hole)
        continue
      }
      let piece = try input.readArray(Int(min(left, 2048)) * size)
      for start in stride(from: 0, to: piece.count, by: size) {
        leaves.append(piece.span.extracting(start..<start + size))
      }
    }
    return leaves
  }

  private static func short(_ bytes: [UInt8]) -> String { "\(Hex.encode(bytes.prefix(8)))…" }

  /// Reports each chunk that differs from its leaf. Consecutive chunks are reported as one when
  /// they are all equal and so are their leaves. Where bytes are missing or inserted, all bytes
  /// after them are moved, so only the first difference is reported then.
  private func compare(
    _ leaves: LeafList, covering length: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    let isMoved = length != follower.length
    let size = UInt64(Seal.chunkSize)
    try leaves.forEachDifference(from: follower.leaves) {
      (sealed, found, range) throws(MigrationError) in
      let first = follower.start + range.lowerBound * size
      let end = isMoved ? range.lowerBound + 1 : range.upperBound
      let last = follower.start + min(end * size, follower.length)
      try refuse(
        MigrationError(
          .sealChunk, "bytes up to 0x\(String(last, radix: 16)) do not match the seal",
          in: .seal, at: first, expected: "SHA-256 \(Self.short(sealed))",
          got: Self.short(found)))
      return !isMoved
    }
  }

  /// Compares the VM description record with the seal.
  /// - Throws: `SEAL-TRAILER`.
  func checkTrailer(
    length: Int, text: Span<UInt8>, at offset: UInt64,
    refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    var hash = try SHA256()
    let head = StreamGrammar.TextHeader(.vmdescription, length: length).bytes
    try hash.update(head)
    try hash.update(text)
    let digest = try hash.finish()
    let size = UInt64(head.count + length)
    if seal?.trailerLength != size || digest != seal?.trailerHash {
      try refuse(
        MigrationError(
          .sealTrailer, "VM description does not match the seal", at: offset,
          expected:
            "\(seal?.trailerLength ?? 0) bytes, SHA-256 \(Self.short(seal?.trailerHash ?? []))",
          got: "\(size), \(Self.short(digest))"))
    }
  }

  /// Checks that the seal covers no VM description, when the stream has none.
  /// - Throws: `SEAL-TRAILER`.
  func checkNoTrailer(
    at offset: UInt64, refuse: MigrationError.Refusal = MigrationError.refuse
  ) throws(MigrationError) {
    let digest = try SHA256.hash([] as [UInt8])
    if seal?.trailerLength != 0 || digest != seal?.trailerHash {
      try refuse(
        MigrationError(
          .sealTrailer, "sealed VM description is missing", at: offset,
          expected: "\(seal?.trailerLength ?? 0) bytes", got: "none"))
    }
  }
}

extension StreamInput {
  /// The next byte, as text for an error.
  func nextText() throws(MigrationError) -> String {
    guard let byte = try peekByte() else { return "the end" }
    return "byte 0x\(String(byte, radix: 16))"
  }
}

extension Seal {
  /// Whether the next byte of `input`, after the end of the sections, begins a seal.
  static func begins(_ input: StreamInput) throws(MigrationError) -> Bool {
    try input.peekByte() == magic[0]
  }

  /// The refusal of a stream in which no seal is at the input's position.
  /// - Throws: `IO-READ`.
  static func missing(at input: StreamInput) throws(MigrationError) -> MigrationError {
    MigrationError(
      .sealMissing, "no seal after the end of the sections", at: input.offset, expected: "SVSMSEAL",
      got: try input.nextText())
  }

  /// Reads the seal that may follow the sections of a plain QEMU stream. The bytes that it covers
  /// are not hashed; its signature is checked against the signer that it names.
  /// - Parameter streamStart: offset of the stream's first byte.
  /// - Returns: nil when there is no seal.
  /// - Throws: `SEAL-SYNTAX`, `SEAL-LENGTH`, `SEAL-ROOT`, `SEAL-SIGNATURE`.
  package static func readIfPresent(
    from input: StreamInput, streamStart: UInt64
  ) throws(MigrationError) -> Seal? {
    guard try begins(input) else { return nil }
    return try SealCheck.read(
      from: input, of: .plain, check: nil, signer: nil, streamStart: streamStart)
  }
}
