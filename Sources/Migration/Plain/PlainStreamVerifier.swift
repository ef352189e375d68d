internal import Cryptography
package import Errors
package import QEMUStream
internal import SVSM
package import Threads
internal import Wire

/// Verifies a plain QEMU stream in one pass: its structure, whether all of its RAM came, and its
/// seal if it has one.
package struct PlainStreamVerifier {
  private var reader: QEMUStreamReader
  private let assembly: RAMAssembly
  private let check: SealCheck
  private let start: UInt64
  private let signer: [UInt8]?
  private let findings: FindingLedger
  private var isPlain = false
  private var isPastSeal = false
  private var seal: Seal?
  private var hasDescription = false
  private var unread: SectionHeader?
  /// Whether the records were followed to the last byte.
  private var hasEnded = false
  /// The error after which the records could not be followed any further.
  private var stop: MigrationError?
  /// Called from time to time with the offset up to which the stream has been read.
  package var progress: (UInt64) -> Void = { _ in }

  /// - Parameters:
  ///   - reader: the reader of the stream, from which nothing has been read yet.
  ///   - assembly: the assembly for the stream's channels; nothing has been added yet.
  ///   - signer: public key that must have signed the seal; nil when that is not known.
  ///   - crew: the worker threads that hash.
  ///   - stopsAtFirst: whether the pass ends at the first refusal, for a caller that asks only
  ///     whether there is one.
  package init(
    _ reader: QEMUStreamReader, _ assembly: RAMAssembly, sealedBy signer: [UInt8]?,
    crew: WorkCrew, stopsAtFirst: Bool = false
  ) {
    self.reader = reader
    self.assembly = assembly
    self.signer = signer
    start = reader.input.offset
    check = SealCheck(reader.input, crew: crew)
    let findings = FindingLedger(.qemu, stopsAtFirst: stopsAtFirst)
    self.findings = findings
    self.reader.readDialects { error throws(MigrationError) in try findings.noteOfDialect(error) }
  }

  /// Reads to the end. After records that cannot be followed it continues with the seal.
  /// - Parameter explain: adds to a refusal what the caller knows about the input.
  /// - Throws: only errors that are not refusals: `IO-READ`, `INTERNAL`.
  package mutating func verify(
    explain: (MigrationError) -> MigrationError
  ) throws(MigrationError) -> VerificationReport {
    do throws(MigrationError) {
      try walk(explain)
    } catch {
      guard error.code.isRefusal else { throw error }
    }
    return try report()
  }

  // MARK: The pass

  private mutating func walk(
    _ explain: (MigrationError) -> MigrationError
  ) throws(MigrationError) {
    do throws(MigrationError) {
      while try step() { progress(reader.input.offset) }
      if unread == nil { lookAtRecords() }
      try assembly.finish()
      if dialect?.placesPages != false { try assembly.requireWhole(at: reader.input.offset) }
      if unread == nil { try lookAtStructure() }
    } catch {
      if findings.hasStopped { throw error }
      let isWalked = hasEnded
      if !isWalked { stop = error }
      if dialect != nil { findings.isOfDialect() }
      try findings.note(explain(error))
      if isWalked { return }
      do throws(MigrationError) {
        try resume()
      } catch {
        if findings.hasStopped { throw error }
        try findings.note(error)
      }
    }
  }

  /// Of blocks that are left to other files nobody knows whether they are whole.
  private func lookAtStructure() throws(MigrationError) {
    findings.look(at: .structure)
    let blocks = try assembly.leftOut()
    guard let first = blocks.first else { return }
    let names = blocks.prefix(8).map { "\($0)" }.joined(separator: ", ")
    findings.obstruct(
      .structure,
      reason: """
        the stream has nothing of \(names)\(blocks.count > 8 ? " and \(blocks.count - 8) more" : ""): \
        x-ignore-shared leaves blocks to other files
        """,
      needs: "\(.memory) \(first)=FILE, and so for each of them")
  }

  /// Sections of one name and instance are told apart by their order alone: whether it is right nobody knows.
  private func lookAtOrder() {
    findings.look(at: .order)
    guard let repeated = reader.sections.repeated else { return }
    findings.obstruct(
      .order,
      reason: """
        more than one section is called \(repeated.name) \(repeated.instance), the second at byte \
        \(Hex.number(repeated.offset)): only their order tells them apart
        """,
      needs: "a machine whose devices QEMU names one by one")
  }

  /// Continues with the seal, if one is found, after records that cannot be followed.
  private mutating func resume() throws(MigrationError) {
    let input = reader.input
    // Input that has not shown any section may be anything, even a pipe that never ends, so no seal
    // is searched for.
    guard !isPastSeal, unread == nil, isPlain, try check.find(in: input, streamStart: start) else {
      return
    }
    try findSeal()
    guard try input.peekByte() == RecordType.vmdescription.rawValue else {
      try check.checkNoTrailer(at: input.offset, refuse: refuse)
      return findings.look(at: .seal)
    }
    let place = input.offset
    input.consume(1)
    let size = try input.requireVMDescription()
    try check.checkTrailer(
      length: size, text: input.bytes.extracting(first: size), at: place, refuse: refuse)
    findings.look(at: .seal)
  }

  private var refuse: MigrationError.Refusal {
    let findings = findings
    return { error throws(MigrationError) in try findings.note(error) }
  }

  /// - Returns: false at the end.
  private mutating func step() throws(MigrationError) -> Bool {
    let event = try reader.next()
    try check.advance()
    switch event {
    case .section(let header):
      try header.requirePlain()
      isPlain = true
      try assembly.take(header, from: &reader)
    case .ram(.blockList):
      try assembly.begin(reader.ram, of: reader.configuration, into: nil)
    case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
    case .confidential(let page):
      isPlain = true
      findings.isOfDialect()
      if let page { try assembly.take(encrypted: page) }
    case .mappedPages(let block): try check.consume(upTo: block.end)
    case .command(let command):
      if command.code == .postcopyRAMDiscard { try assembly.discard(command) }
    case .unreadable(let header):
      (unread, assembly.unreadable) = (header, header)
      check.giveUp()
      guard signer == nil else {
        throw MigrationError(
          .sealMissing, "the end of the sections, and so the place of a seal, is unknown",
          in: .section(header.name), at: header.offset, expected: "footers or a description",
          got: "neither")
      }
    case .endOfSections:
      try check.streamEnds()
      isPastSeal = true
      if try Seal.begins(reader.input) {
        try findSeal()
      } else if signer != nil {
        // A caller that names a signer requires a seal. The rest can be read without one.
        try findings.note(Seal.missing(at: reader.input))
      }
    case .description(let size):
      let input = reader.input
      if seal != nil {
        try check.checkTrailer(
          length: size, text: input.bytes.extracting(first: size),
          at: input.offset - UInt64(StreamGrammar.TextHeader.size),
          refuse: refuse)
        findings.look(at: .seal)
      }
      hasDescription = true
      _ = try reader.requireDescription()
    case .end:
      if seal != nil, !hasDescription {
        try check.checkNoTrailer(at: reader.input.offset, refuse: refuse)
        findings.look(at: .seal)
      }
      hasEnded = true
      return false
    case .configuration: break
    }
    return true
  }

  /// Reads the seal at the input's position.
  private mutating func findSeal() throws(MigrationError) {
    if !isPastSeal { try check.streamEnds() }
    isPastSeal = true
    seal = try SealCheck.read(
      from: reader.input, of: .plain, check: check, signer: signer, streamStart: start,
      refuse: refuse)
    if signer != nil { findings.look(at: .sealSigner) }
  }

  // MARK: The report

  private func report() throws(MigrationError) -> VerificationReport {
    let isSigned = !findings.isRefuted(.sealSigner)
    let fingerprint = try seal?.signer.map { (key) throws(MigrationError) in try SHA256.hash(key) }
    var report = findings.report(signerHash: isSigned ? fingerprint : nil, dialect: dialect) {
      dialect?.whyNotCheckable($0) ?? why($0, fingerprint: fingerprint)
    }
    report.sealRoot = seal?.root
    report.padding = reader.padding
    return report
  }

  private var dialect: ConfidentialDialect? { reader.confidential?.facts.dialect }

  /// The records were followed to their end, and so was all that a dialect has.
  private func lookAtRecords() {
    lookAtOrder()
    switch dialect {
    case nil, .hygonCSV, .hygonCSV2, .openEulerSEV, .amdSEV: break
    case .intelTDX: findings.look(at: .counts, .pageSequence, .epochOrder)
    case .hygonCSV3:
      findings.obstruct(
        .structure, reason: "no record says which RAM block an encrypted page is in",
        needs: "the guest's map")
    }
  }

  private func why(
    _ property: VerificationReport.Property, fingerprint: [UInt8]?
  ) -> (reason: Wording, needs: Wording) {
    if findings.hasStopped {
      return (
        "the check stopped at the first refusal", "a check that continues after the first refusal"
      )
    }
    if let unread {
      let place = "byte 0x" + String(unread.offset, radix: 16)
      return (
        "the ends of sections are unknown, from \(unread.name) at \(place) on",
        "a stream with footers or a VM description"
      )
    }
    if let stop, !isPastSeal || ![.structure, .seal, .sealSigner].contains(property) {
      let place = stop.offset.map { "byte 0x\(String($0, radix: 16))" } ?? "their beginning"
      return ("the records after \(place) cannot be read", "the stream as it was saved")
    }
    guard property == .sealSigner, seal != nil else {
      return seal == nil
        ? ("the stream has no seal", "a seal: svsm-mig-seal adds one")
        : ("what follows the seal was refused", "the stream to its end")
    }
    return FindingLedger.whyNoSigner(fingerprint)
  }
}
