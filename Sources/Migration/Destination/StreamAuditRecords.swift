internal import Errors
internal import QEMUStream
internal import SVSM
internal import Wire

/// The records that the SVSM judges: private pages, epoch tokens, final records, the commit.
extension StreamAudit {
  mutating func take(_ batch: PageBatch) throws(MigrationError) {
    guard let pinned = batch.records, records != nil else { return }
    let findings = findings
    let refuse: MigrationError.Refusal = { error throws(MigrationError) in
      try findings.note(error.within(.pages))
      guard error.code == .pageTag else { return }
      findings.obstruct(
        .pageStates, reason: "a page that does not authenticate may be any page",
        needs: "the page at byte 0x\(String(error.offset ?? 0, radix: 16)) as the source made it")
    }
    let refused = trace.map { _ in RefusedPages(of: batch) }
    // Chosen without `??`, which would allocate for each batch.
    if let refused {
      records?.report(to: refused.noting(refuse))
    } else {
      records?.report(to: refuse)
    }
    for index in 0..<batch.count {
      let offset = batch.offset(index)
      let start = index * SNPStreamReader.pageStride
      let record = pinned.bytes.extracting(start..<start + PageMetadata.recordSize)
      let page = try records?.judge(page: record, index, of: batch.pages, at: offset) ?? nil
      guard let page else {
        findings.obstruct(
          .epochOrder, .counts, .pageStates,
          reason: "the page record at byte 0x\(String(offset, radix: 16)) cannot be read",
          needs: "that record as it was made")
        continue
      }
      _ = try host.take(page, at: offset, refuse)
    }
    if let refused { note(batch, pinned.bytes, without: refused) }
  }

  mutating func takeToken() throws(MigrationError) -> Judged? {
    let (payload, refuse, offset) = (payload, refuse, stream.reader.payloadOffset)
    records?.report(to: refuse)
    let token = try records?.judge(token: payload.span, at: offset)
    if token?.isLast == false { host.beginEpoch() }
    return token.map(Judged.token)
  }

  mutating func take(_ place: FinalRecord.Place) throws(MigrationError) -> Judged? {
    let (findings, section) = (findings, stream.reader.section.map { Place.section($0.name) })
    let about = VerificationReport.Property(of: named(MigrationError(.finalTag, "")))
    records?.report { error throws(MigrationError) in
      // What is wrong with a piece refutes the property of its kind, unless it is the piece's place
      // or form.
      let isOfPlace = error.code == .finalOrder || error.code == .sectionReserved
      try findings.note(
        section.map { error.within($0) } ?? error, about: isOfPlace ? nil : about)
    }
    let offset = stream.reader.payloadOffset
    // Taken out, so that the payload need not be copied: the state of a service is large.
    var judge = records.take()
    defer { records = judge.take() }
    let final = try judge?.judge(final: stream.reader.payload, in: place, at: offset)
    return final.map(Judged.final)
  }

  mutating func takeCommit() throws(MigrationError) {
    let (payload, refuse, offset) = (payload, refuse, stream.reader.payloadOffset)
    records?.report(to: refuse)
    let judged = try records?.judge(
      commit: payload.span, naming: VerificationReport.limit, at: offset)
    guard hasKeys, let judged else { return }
    guard judged.isAuthentic else {
      return findings.obstruct(
        .vcpus, .svsmState, .pageStates, .machineState,
        reason: "the commit, which counts the pieces, does not authenticate",
        needs: "the commit as the source made it")
    }
    findings.look(at: .commit)
    findings.noteMore(judged.unnamedPages, about: .pageStates)
    try missPieces(judged, at: offset)
    restored = try records?.restored(by: judged) ?? nil
    guard let secrets = restored?.secretsPage else { return }
    _ = try host.locate(secretsPage: secrets.gpa, refuse)
  }

  /// Reports kinds of which the stream holds fewer or more pieces than the source's commit counts.
  private mutating func missPieces(
    _ judged: JudgedCommit, at offset: UInt64
  ) throws(MigrationError) {
    let (commit, found) = (judged.commit, records?.final ?? FinalCounts())
    for kind in FinalRecord.Kind.allCases {
      let (row, property) = (kind.row, VerificationReport.Property.of(kind))
      if found[kind] != commit.final[kind] {
        try findings.note(
          named(
            MigrationError(
              .commitTotals, "the commit counts other \(row.plural)",
              at: CommitRecord.Layout.offset(of: row.count, from: offset),
              expected: "\(commit.final[kind])", got: "\(found[kind])")), about: property)
      } else if kind != .pageStates, judged.complete.contains(kind) {
        findings.look(at: property)
      }
    }
  }

  /// Marks the properties that needed all records as checked, at the end of the records.
  mutating func endRecords() {
    isFollowed = true
    findings.look(at: .order)
    guard session != nil else { return }
    findings.look(at: .counts, .transcript, .pageSequence, .epochOrder)
    if hasKeys { findings.look(at: .pageTags, .epochTags) }
  }
}
