internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Wire

/// The records of the trusted part: epoch tokens, final records, the commit.
extension StreamAudit {
  mutating func takeToken() throws(MigrationError) {
    guard session != nil else { return }
    let (record, offset) = (Array(copying: reader.payload), reader.payloadOffset)
    let refuse = refuse
    if try auditor?.authenticates(token: record.span, epoch: books.epoch) == false {
      try refuse(MigrationError(.epochTag, "epoch token does not authenticate", at: offset))
    }
    var cursor = ByteCursor(record.span, at: offset)
    let token = try EpochToken(from: &cursor, refuse: refuse)
    try books.admit(token, record: record.span, at: offset, refuse: refuse)
    if !token.isLast { host.books.beginEpoch() }
  }

  mutating func take(_ place: FinalRecord.Place) throws(MigrationError) {
    guard session != nil else { return }
    let offset = reader.payloadOffset
    let (findings, section) = (findings, reader.section.map { Place.section($0.name) })
    let about = VerificationReport.Property(of: named(MigrationError(.finalTag, "")))
    let refuse: MigrationError.Refusal = { error throws(MigrationError) in
      // What is wrong with a piece is said of what it is a piece of; not so its place and its form.
      let isOfPlace = error.code == .finalOrder || error.code == .sectionReserved
      try findings.note(
        section.map { error.within($0) } ?? error, about: isOfPlace ? nil : about)
    }
    let record = Array(copying: reader.payload)
    guard auditor == nil else {
      try auditor?.open(record.span, in: place, &books, at: offset, refuse: refuse)
      return
    }
    var cursor = ByteCursor(record.span, at: offset)
    let header = try FinalRecord(from: &cursor, in: place, refuse: refuse)
    let headSize = FinalRecord.layout.size
    try books.admit(
      header, header: record.span.extracting(first: headSize), at: offset, refuse: refuse)
    do throws(MigrationError) {
      try header.kind.requireLength(record.count - headSize)
    } catch {
      var error = error
      error.offset = offset
      try refuse(error)
    }
  }

  mutating func takeCommit() throws(MigrationError) {
    guard session != nil else { return }
    let offset = reader.payloadOffset
    let refuse = refuse
    var isAuthentic = false
    if auditor != nil {
      isAuthentic = try auditor?.authenticates(commit: reader.payload) == true
      if !isAuthentic {
        try refuse(MigrationError(.commitTag, "commit does not authenticate", at: offset))
      }
    }
    var cursor = ByteCursor(reader.payload, at: offset)
    let commit = try CommitRecord(from: &cursor, refuse: refuse)
    try books.admit(commit, at: offset, refuse: refuse)
    guard auditor != nil else { return }
    guard isAuthentic else {
      return findings.obstruct(
        .vcpus, .svsmState, .pageStates, .machineState,
        reason: "the commit, which counts the pieces, does not authenticate",
        needs: "the commit as the source made it")
    }
    findings.look(at: .commit)
    let more =
      try auditor?.finish(
        commit, &books, naming: VerificationReport.limit, at: offset, refuse: refuse) ?? 0
    findings.noteMore(more, about: .pageStates)
    try missPieces(commit, books.final, at: offset)
    restored = try auditor?.restored(commit)
    guard let secrets = restored?.secretsPage else { return }
    if let map = host.map, map.locate(secrets.gpa) == nil {
      try findings.note(
        MigrationError(
          .secretsPage, "secrets page lies where no memory is mapped", in: .commit,
          expected: "a mapped address", got: "gpa 0x\(String(secrets.gpa, radix: 16))"))
    }
  }

  /// Pieces that the source counts in its commit and that are not in the stream, or too many.
  private func missPieces(
    _ commit: CommitRecord, _ found: FinalCounts, at offset: UInt64
  ) throws(MigrationError) {
    let rows: [(FinalRecord.Kind, VerificationReport.Property, String, UInt64)] = [
      (.vcpu, .vcpus, "vCPUs", 32), (.service, .svsmState, "services", 36),
      (.secrets, .svsmState, "secrets pages", 40), (.pageStates, .pageStates, "map parts", 44),
    ]
    for (kind, property, name, field) in rows {
      if found[kind] != commit.final[kind] {
        try findings.note(
          named(
            MigrationError(
              .commitTotals, "the commit counts other \(name)", at: offset + field,
              expected: "\(commit.final[kind])", got: "\(found[kind])")), about: property)
      } else if kind != .pageStates, auditor?.isComplete(kind, by: commit) == true {
        findings.look(at: property)
      }
    }
  }

  /// The records end: what needed all of them was looked at.
  mutating func endRecords() {
    isFollowed = true
    findings.look(at: .order)
    guard session != nil else { return }
    findings.look(at: .counts, .transcript, .pageSequence, .epochOrder)
    if auditor != nil { findings.look(at: .pageTags, .epochTags) }
  }
}
