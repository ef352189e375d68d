internal import Cryptography
package import Errors
package import QEMUStream
package import SVSM
package import Threads
package import Wire

/// Seals over every byte of a file, whatever is in it, in files of their own (`Formats/stream.md`,
/// section 16.2).
package enum DetachedSeal {
  /// Reads a file to its end and writes its seal.
  /// - Parameters:
  ///   - input: the file, from which nothing has been read yet.
  ///   - signer: the instance that signs the seal, whose stage does not change; nil leaves the seal
  ///     unsigned.
  ///   - output: receives the seal.
  ///   - progress: called with the number of bytes that are done.
  /// - Throws: `IO-READ`, `IO-WRITE`.
  package static func make(
    of input: StreamInput, signedBy signer: SVSMInstance?, to output: any ByteOutput,
    crew: WorkCrew, progress: (UInt64) -> Void
  ) throws(MigrationError) -> Seal {
    let follower = ChunkFollower(input, crew: crew)
    try follower.follow(input, progress)
    let leaves = follower.leaves
    let seal = try Seal(
      coveredLength: follower.length, root: HashTree.root(of: leaves), trailer: [],
      signer: signer?.offer.publicKey)
    try output.write(seal.encoded)
    try leaves.write(to: output)
    if let signer { try output.write(signer.sign(seal, as: .detached)) }
    return seal
  }

  /// Reads a file to its end and compares it with its seal.
  /// - Parameters:
  ///   - sealInput: the file of the seal.
  ///   - signer: public key that must have signed the seal; nil when that is not known.
  /// - Throws: only errors that are not refusals: `IO-READ`, `INTERNAL`.
  package static func verify(
    _ input: StreamInput, against sealInput: StreamInput, sealedBy signer: [UInt8]?,
    crew: WorkCrew, progress: (UInt64) -> Void
  ) throws(MigrationError) -> VerificationReport {
    let findings = FindingLedger(.file, stopsAtFirst: false)
    let check = SealCheck(input, crew: crew)
    try check.follow(input, progress)
    var seal: Seal?
    do throws(MigrationError) {
      let refuse = { (error: MigrationError) throws(MigrationError) in try findings.note(error) }
      let found = try SealCheck.read(
        from: sealInput, of: .detached, check: check, signer: signer, covering: check.length,
        refuse: refuse)
      seal = found
      try check.checkNoTrailer(at: sealInput.offset, refuse: refuse)
      guard try sealInput.isAtEnd() else {
        throw MigrationError(
          .sealSyntax, "bytes after the end of the seal", in: .seal, at: sealInput.offset)
      }
      findings.look(at: .seal)
      if signer != nil { findings.look(at: .sealSigner) }
    } catch {
      guard error.code.isRefusal else { throw error }
      try findings.note(error)
    }
    let fingerprint = try seal?.signer.map { (key) throws(MigrationError) in try SHA256.hash(key) }
    let isSigned = !findings.isRefuted(.sealSigner)
    var report = findings.report(signerHash: isSigned ? fingerprint : nil) { _ in
      seal == nil
        ? ("the seal cannot be read", "the seal as it was made")
        : FindingLedger.whyNoSigner(fingerprint)
    }
    report.sealRoot = seal?.root
    return report
  }
}
