public import Bytes
internal import Cryptography
public import QEMUStream
public import SVSM
public import Threads

/// Verifies a plain QEMU stream in one pass: its structure, whether all of its RAM came, and its seal
/// if it has one.
public struct PlainStreamVerifier {
  private var reader: QEMUStreamReader
  private let assembly: RAMAssembly
  private let check: SealCheck
  private let start: UInt64
  private let signer: [UInt8]?

  private var isPlain = false
  private var isPastSeal = false
  private var seal: Seal?
  private var hasDescription = false
  private var unread: SectionHeader?

  /// - Parameters:
  ///   - reader: of the stream, nothing read yet.
  ///   - assembly: with the stream's channels; nothing taken in yet.
  ///   - signer: who must have sealed the stream; nil when that is not known.
  ///   - crew: hashes.
  public init(
    _ reader: QEMUStreamReader, _ assembly: RAMAssembly, sealedBy signer: SVSMInstance?,
    crew: WorkCrew
  ) {
    self.reader = reader
    self.assembly = assembly
    self.signer = signer?.offer.publicKey
    start = reader.input.offset
    check = SealCheck(reader.input, crew: crew)
  }

  /// Reads to the end, or to what is refused.
  /// - Parameter explain: adds to a refusal what the caller knows of the input.
  /// - Throws: only what is no refusal: `IO-READ`, `INTERNAL`.
  public mutating func verify(
    explain: (MigrationError) -> MigrationError
  ) throws(MigrationError) -> VerificationReport {
    var refusal: MigrationError?
    var isWalked = false
    do throws(MigrationError) {
      while try step() {}
      isWalked = true
      try assembly.finish()
      try assembly.requireWhole(at: reader.input.offset)
    } catch {
      guard error.code.exitStatus == 65 else { throw error }
      refusal = explain(error)
    }
    return try report(refusal, isWalked: isWalked)
  }

  // MARK: The pass

  /// - Returns: false at the end.
  private mutating func step() throws(MigrationError) -> Bool {
    let event = try reader.next()
    try check.advance()
    switch event {
    case .section(let header):
      try header.requirePlain()
      isPlain = true
    case .ram(.blockList): try assembly.begin(reader.ram, into: nil)
    case .ram(let record): try assembly.take(record, from: reader.input)
    case .mappedPages(let block): try check.consume(upTo: block.end)
    case .command(let command):
      if command.code == .postcopyRAMDiscard { try assembly.discard(command) }
    case .unreadable(let header):
      unread = header
      check.giveUp()
      guard signer == nil else {
        throw MigrationError(
          .sealMissing, "nothing tells where the sections end and a seal would be",
          section: header.name.description, at: header.offset)
      }
    case .endOfSections: try readSeal()
    case .description(let size):
      let input = reader.input
      let text = input.bytes.extracting(first: size)
      if seal != nil { try check.checkTrailer(length: size, text: text, at: input.offset - 5) }
      _ = try VMDescription(parsing: Array(copying: text), at: input.offset)
      hasDescription = true
    case .end:
      if seal != nil, !hasDescription { try check.checkNoTrailer(at: reader.input.offset) }
      return false
    case .configuration: break
    }
    return true
  }

  private mutating func readSeal() throws(MigrationError) {
    try check.streamEnds()
    // Whoever names a signer wants a seal.
    let isThere = try Seal.begins(reader.input)
    if isThere || signer != nil {
      seal = try SealCheck.read(
        from: reader.input, check: check, signer: signer, streamStart: start)
    }
    isPastSeal = true
  }

  // MARK: The report

  private func report(
    _ refusal: MigrationError?, isWalked: Bool
  ) throws(MigrationError) -> VerificationReport {
    var proven: Set<VerificationReport.Property> = []
    if unread == nil { proven = [.structure, .order] }
    // What a refusal kept from being looked at is not absent.
    let isSealOpen = refusal != nil && !isPastSeal && unread == nil
    if seal != nil || isSealOpen { proven.insert(.seal) }
    if seal != nil && signer != nil || isSealOpen { proven.insert(.sealSigner) }
    let fingerprint = try seal?.signer.map { (key) throws(MigrationError) in try SHA256.hash(key) }
    var report = VerificationReport(refusal: refusal, isWhole: isWalked, proven: proven) {
      property in
      switch property {
      case .structure, .order, .seal, .sealSigner:
        needs(property, fingerprint: fingerprint)
      default: isPlain ? "a plain QEMU stream" : "the stream was refused first"
      }
    }
    report.kind = .qemu
    report.signerHash = fingerprint
    return report
  }

  private func needs(
    _ property: VerificationReport.Property, fingerprint: [UInt8]?
  ) -> String {
    if let unread {
      return "nothing tells where sections end, from \(unread.name) at byte 0x"
        + String(unread.offset, radix: 16) + " on"
    }
    guard property == .sealSigner, seal != nil else { return "the stream has no seal" }
    guard let fingerprint else { return "the seal is not signed: anyone can have made it" }
    return "signed by the key with SHA-256 \(Hex.encode(fingerprint)); whose it is, "
      + "its instance tells"
  }
}
