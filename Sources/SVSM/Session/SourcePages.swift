package import Errors
internal import SEVSNP
internal import Wire

/// The calls of a source about pages: packaging them, and comparing them with what was exported.
extension SourceSVSM {
  /// Makes an export that packages pages of this session.
  package func makeExport() throws(MigrationError) -> PageExport {
    try PageExport(keys, digestKey: digestKey)
  }

  /// Begins to package pages: decides that they may leave and gives them their sequence numbers.
  ///
  /// - Parameters:
  ///   - export: the export that packages them next. Exports are finished in the order in which
  ///     they were begun.
  ///   - gpa: guest-physical address of the first page; the others follow it.
  ///   - count: number of pages, at most `PageExport.capacity`, all in one run of the page-state
  ///     map.
  /// - Throws: `PAGE-OPERATION` when not all are validated; `PAGE-REPEATED` when one was already
  ///   packaged in this epoch; `EPOCH-ORDER`; `SESSION-STATE` when the previous use of the export
  ///   is not finished.
  package mutating func beginExport(
    _ export: PageExport, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    do throws(MigrationError) {
      let run = try self.run(
        at: gpa, count, validated: true, "page is not validated and cannot be exported")
      let page = PageMetadata(
        sequence: ledger.position.sequence, gpa: gpa, epoch: ledger.position.epoch,
        operation: .migrate,
        size: run.size, permissions: run.permissions)
      try begin(export, page, count: count)
    } catch {
      throw refused(error, by: .packagePages, from: phase)
    }
  }

  /// Begins to withdraw pages that were exported and are no longer validated.
  ///
  /// - Parameters:
  ///   - export: the export that packages the records next, without content.
  ///   - gpa: guest-physical address of the first page; the others follow it.
  ///   - count: number of pages, at most `PageExport.capacity`, all in one run of the page-state
  ///     map.
  /// - Throws: `PAGE-OPERATION` when a page is validated or is not present; `PAGE-REPEATED`,
  ///   `EPOCH-ORDER`; `SESSION-STATE` when the previous use of the export is not finished.
  package mutating func beginCancel(
    _ export: PageExport, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    do throws(MigrationError) {
      _ = try run(at: gpa, count, validated: false, "page is validated and is not withdrawn")
      let page = PageMetadata(
        sequence: ledger.position.sequence, gpa: gpa, epoch: ledger.position.epoch,
        operation: .cancel,
        size: .size4K, permissions: .none)
      try begin(export, page, count: count)
    } catch {
      throw refused(error, by: .packagePages, from: phase)
    }
  }

  /// The run of the page-state map that holds all `count` pages, which must be validated or must
  /// not be.
  private mutating func run(
    at gpa: UInt64, _ count: Int, validated: Bool, _ refusal: String
  ) throws(MigrationError) -> PageRun {
    try require(.exporting, or: .epochOrder)
    precondition(count > 0 && count <= PageExport.capacity)
    guard let run = states.run(at: gpa), (run.state == .validated) == validated,
      run.end - gpa >= UInt64(count * PageMetadata.pageSize)
    else {
      throw MigrationError(
        .pageOperation, refusal, in: .pageStates, got: "gpa \(Hex.number(gpa))")
    }
    return run
  }

  private mutating func begin(
    _ export: PageExport, _ first: PageMetadata, count: Int
  ) throws(MigrationError) {
    try export.requireIdle()
    var page = first
    var again: UInt64 = 0
    let mayBeAgain = first.operation != .cancel && ledger.position.epoch > 1
    // Count the records before anything is encrypted: a sequence number must never be used for two
    // plaintexts.
    for index in 0..<count {
      if mayBeAgain {
        let isPresent = try ledger.isPresent(page.gpa)
        page.operation = isPresent ? .migrateAgain : .migrate
        if isPresent { again |= 1 << UInt64(index) }
      }
      try ledger.count(page, at: 0)
      page.sequence += 1
      page.gpa += UInt64(PageMetadata.pageSize)
    }
    export.begin(first, count: count, again: again)
  }

  /// Adds packaged pages to the transcript. Afterwards their records may be released.
  /// - Throws: `SESSION-STATE` when the export was not packaged, or is not the first of those
  ///   begun.
  package mutating func finishExport(_ export: PageExport) throws(MigrationError) {
    try requireNext(export)
    try ledger.transcript.append(pages: export.transcribed)
    noteFinished(export)
    if digestKey != nil, let first = export.first, first.operation != .cancel {
      for index in 0..<export.count {
        try digests.note(
          export.digests[index], of: first.gpa + UInt64(index * PageMetadata.pageSize))
      }
    }
    export.finish()
  }

  /// Requires an export that is packaged, and the first of those that were begun.
  private func requireNext(_ export: PageExport) throws(MigrationError) {
    do throws(MigrationError) {
      try require(.exporting)
      guard export.stage == .packaged, let first = export.first,
        first.sequence == ledger.transcript.pages + 1
      else {
        throw MigrationError(.sessionState, "pages are not the next that were to be packaged")
      }
    } catch {
      throw refused(error, by: .packagePages, from: phase)
    }
  }

  private func noteFinished(_ export: PageExport) {
    guard let trace else { return }
    let phase = "\(phase)"
    for index in 0..<export.count {
      guard let page = export.metadata(index) else { return }
      let place = trace.place.map { $0.offset &+ UInt64(index) &* $0.stride }
      trace.note(
        page, by: .packagePages, in: phase, at: place, stride: trace.place?.stride ?? 0)
    }
  }

  /// Makes a check that compares pages of this session.
  /// - Throws: `SESSION-STATE` in a session whose freshness is not `compared`.
  package func makeCheck() throws(MigrationError) -> PageCheck {
    guard let digestKey else {
      throw MigrationError(.sessionState, "pages of this session are not compared")
    }
    return try PageCheck(digestKey: digestKey)
  }

  /// Begins to compare validated pages with what was last exported of them.
  ///
  /// - Parameters:
  ///   - check: the check that compares them next. Checks are begun by ascending address.
  ///   - gpa: guest-physical address of the first page; the others follow it.
  ///   - count: number of pages, at most `PageCheck.capacity`, all in one run of the page-state
  ///     map.
  /// - Throws: `PAGE-STALE` for a page that is not present; `SESSION-STATE` for pages that are not
  ///   validated, or out of order.
  package mutating func beginCheck(
    _ check: PageCheck, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    do throws(MigrationError) {
      try expect(check, at: gpa, count: count)
    } catch {
      throw refused(error, by: .checkPages, from: phase)
    }
  }

  private mutating func expect(
    _ check: PageCheck, at gpa: UInt64, count: Int
  ) throws(MigrationError) {
    try require(.exporting)
    precondition(count > 0 && count <= PageCheck.capacity)
    try check.requireIdle()
    let size = UInt64(count * PageMetadata.pageSize)
    guard let run = states.run(at: gpa), run.state == .validated, run.end - gpa >= size,
      gpa >= fresh.end
    else {
      throw MigrationError(.sessionState, "pages are not checked in the order of their addresses")
    }
    for index in 0..<count {
      let page = gpa + UInt64(index * PageMetadata.pageSize)
      guard try ledger.isPresent(page), let digest = try digests.digest(of: page) else {
        throw stale(page)
      }
      check.expect(digest, ofPage: index)
    }
    check.begin(at: gpa, count: count, epoch: ledger.position.epoch)
    fresh.end = gpa + size
  }

  /// Takes the result of a check.
  /// - Throws: `PAGE-STALE`, naming the first page that has changed since it was exported;
  ///   `SESSION-STATE` when the pages were not compared, or in another epoch.
  package mutating func finishCheck(_ check: PageCheck) throws(MigrationError) {
    do throws(MigrationError) {
      try require(.exporting)
      guard check.stage == .compared, check.epoch == ledger.position.epoch else {
        throw MigrationError(.sessionState, "pages were not compared in this epoch")
      }
      if let gpa = check.stale { throw stale(gpa) }
    } catch {
      throw refused(error, by: .checkPages, from: phase)
    }
    trace?.note(compared: check.count, at: check.gpa, in: "\(phase)")
    fresh.pages += UInt64(check.count)
    check.finish()
  }

  private func stale(_ gpa: UInt64) -> MigrationError {
    MigrationError(
      .pageStale, "current content of a page is not exported", in: .pageStates,
      got: "gpa \(Hex.number(gpa))")
  }
}
