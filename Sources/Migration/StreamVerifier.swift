public import Bytes
internal import Guest
public import QEMUStream
public import SVSM
public import Threads

/// Verifies a stream in one pass, without keys or with those of its destination.
public struct StreamVerifier {
  private let trust: Trust
  private let crew: WorkCrew

  /// - Parameters:
  ///   - trust: roots and time for the source's attestation.
  ///   - crew: does the work.
  public init(trust: Trust, crew: WorkCrew) {
    self.trust = trust
    self.crew = crew
  }

  /// What anyone can check: structure, order, counts, transcript, seal, the source's attestation.
  /// - Throws: only what is no refusal: `IO-READ`, `INTERNAL`.
  public func verify(_ input: StreamInput) throws(MigrationError) -> VerificationReport {
    var session: (data: TransferData, offset: UInt64)?
    var refusal: MigrationError?
    do throws(MigrationError) {
      session = try pass(input)
      // Once the seal has shown that the bytes are the sealed ones: damage is called damage and
      // not a forgery.
      if let session, session.data.flags.contains(.mutual) {
        try checkSource(session.data, at: session.offset)
      }
    } catch {
      guard error.code.exitStatus == 65 else { throw error }
      refusal = error
    }
    var proven: Set<VerificationReport.Property> = [
      .structure, .order, .counts, .transcript, .seal, .sealSigner,
    ]
    if session?.data.flags.contains(.mutual) ?? true { proven.insert(.sourceAttestation) }
    return VerificationReport(refusal: refusal, isWhole: session != nil, proven: proven) {
      property in
      switch property {
      case .sourceAttestation: "one-way: the source shows no attestation"
      case .freshness: "a file cannot tell; the destination's instance remembers its migration"
      default: "needs the destination's instance"
      }
    }
  }

  /// Everything a destination checks, with its keys, restoring nothing.
  /// - Throws: only what is no refusal: `IO-READ`, `INTERNAL`.
  public func verify(
    _ input: StreamInput, for instance: SVSMInstance
  ) throws(MigrationError) -> VerificationReport {
    var options = DestinationSVSM.Options()
    options.acceptsOneWay = true
    options.acceptsSeeded = true
    options.isRehearsal = true
    var isMutual = true
    var refusal: MigrationError?
    do throws(MigrationError) {
      var vmm = DestinationVMM(input, crew: crew)
      let summary = try vmm.receive(
        begin: { (data, offset) throws(MigrationError) in
          try DestinationSVSM(
            instance: instance, transferData: data, trust: trust, options: options, at: offset)
        }, memory: { _, _ in DiscardedMemory() }, progress: { _ in })
      isMutual = summary.transferData.flags.contains(.mutual)
    } catch {
      guard error.code.exitStatus == 65 else { throw error }
      refusal = error
    }
    var proven = Set(VerificationReport.Property.allCases)
    if instance.stage != .ready || refusal != nil { proven.remove(.freshness) }
    if !isMutual { proven.remove(.sourceAttestation) }
    return VerificationReport(refusal: refusal, isWhole: refusal == nil, proven: proven) {
      property in
      property == .sourceAttestation
        ? "one-way: the source shows no attestation"
        : "this instance has served a migration already"
    }
  }

  /// One pass without keys.
  /// - Returns: the session, and where its payload begins in the stream.
  private func pass(
    _ input: StreamInput
  ) throws(MigrationError) -> (data: TransferData, offset: UInt64)? {
    var reader = SNPStreamReader(input, checkingSealWith: crew)
    var session: (data: TransferData, offset: UInt64)?
    var books: RecordLedger?
    while true {
      let record = try reader.next()
      do throws(MigrationError) {
        switch record {
        case .session(let data):
          books = try RecordLedger(transferData: data.encoded)
          session = (data, reader.payloadOffset)
        case .pages(let count):
          for index in 0..<count {
            let start = index * SNPStreamReader.pageStride
            let offset = reader.payloadOffset + UInt64(start)
            let head = reader.payload.extracting(start..<start + PageMetadata.contentOffset)
            var cursor = ByteCursor(head, at: offset)
            try books?.admit(try PageMetadata(from: &cursor), record: head, at: offset)
          }
        case .token:
          var cursor = ByteCursor(reader.payload, at: reader.payloadOffset)
          let token = try EpochToken(from: &cursor)
          try books?.admit(token, record: reader.payload, at: reader.payloadOffset)
        case .final(let final):
          try books?.admit(
            final, header: reader.payload.extracting(first: FinalRecord.layout.size),
            at: reader.payloadOffset)
        case .commit:
          var cursor = ByteCursor(reader.payload, at: reader.payloadOffset)
          let commit = try CommitRecord(from: &cursor)
          try books?.admit(commit, at: reader.payloadOffset)
        case .end:
          return session
        case .configuration, .ram, .guestMap, .machine, .device, .skipped, .eof, .seal,
          .vmdescription:
          break
        }
      } catch {
        throw reader.section.map { error.inSection($0.name.description) } ?? error
      }
    }
  }
}

extension StreamVerifier {
  /// Checks the source's proof.
  private func checkSource(
    _ data: TransferData, at offset: UInt64
  ) throws(MigrationError) {
    try trust.verify(
      report: data.report, certificates: data.certificates,
      reportData: data.expectedReportData(), of: "snp-session",
      at: offset + UInt64(TransferData.layout.size))
  }
}
