internal import Errors
internal import QEMUStream
internal import SVSM
internal import Threads
internal import Wire

/// Page records whose tags are to be checked.
final class AuditBatch: WorkItem, @unchecked Sendable {
  let audit: PageAudit
  /// The records, one every `SNPStreamReader.pageStride` bytes.
  var records: PinnedBytes?
  var count = 0
  /// Stream offset of the first record.
  var offset: UInt64 = 0

  init(_ audit: PageAudit) { self.audit = audit }

  override func perform() {
    guard let records else { return }
    audit.check(records.bytes, stride: SNPStreamReader.pageStride, count: count)
  }
}

/// Page records on their way through the threads of a crew.
struct AuditedPages {
  let crew: WorkCrew
  let batches: InFlight<AuditBatch>
  /// Whether some may be in `batches`.
  var areOnTheirWay = false

  init(_ crew: WorkCrew) {
    self.crew = crew
    batches = InFlight(for: crew)
  }
}

extension StreamAudit {
  /// Takes page records; with keys their tags are checked first, by whichever thread is free.
  mutating func take(pages count: Int) throws(MigrationError) {
    let stride = SNPStreamReader.pageStride
    guard session != nil else { return }
    guard auditor != nil else {
      let records = try pin(0..<(count - 1) * stride + PageMetadata.recordSize)
      defer { reader.unpin(records) }
      for index in 0..<count {
        let start = index * stride
        try judge(
          records.bytes.extracting(start..<start + PageMetadata.recordSize),
          at: reader.payloadOffset + UInt64(start), isAuthentic: true)
      }
      return
    }
    var next = 0
    while next < count {
      if pages.batches.isFull { try finishOldestPages() }
      guard
        let batch = if let free = pages.batches.takeFree() { free } else { try makeBatch() }
      else { return }
      batch.count = min(count - next, PageAudit.capacity)
      let start = next * stride
      batch.records = try pin(start..<start + (batch.count - 1) * stride + PageMetadata.recordSize)
      batch.offset = reader.payloadOffset + UInt64(start)
      pages.batches.submit(batch, to: pages.crew)
      next += batch.count
    }
    pages.areOnTheirWay = true
    findings.isHolding = true
  }

  private func pin(_ range: Range<Int>) throws(MigrationError) -> PinnedBytes {
    guard let records = reader.pinPayload(range) else {
      throw MigrationError(.internal, "page records are not at hand")
    }
    return records
  }

  private func makeBatch() throws(MigrationError) -> AuditBatch? {
    guard let audit = try auditor?.makePageAudit() else { return nil }
    return AuditBatch(audit)
  }

  /// Judges all records that are on their way.
  mutating func finishPages() throws(MigrationError) {
    guard pages.areOnTheirWay else { return }
    while !pages.batches.isEmpty { try finishOldestPages() }
    pages.areOnTheirWay = false
    findings.isHolding = false
  }

  private mutating func finishOldestPages() throws(MigrationError) {
    guard let batch = pages.batches.finishOldest(with: pages.crew), let records = batch.records
    else { return }
    defer {
      reader.unpin(records)
      batch.records = nil
      pages.batches.recycle(batch)
    }
    for index in 0..<batch.count {
      let start = index * SNPStreamReader.pageStride
      try judge(
        records.bytes.extracting(start..<start + PageMetadata.recordSize),
        at: batch.offset + UInt64(start), isAuthentic: batch.audit.isAuthentic(index))
    }
  }

  /// Judges one record: its tag, its fields, its place, in this order. Fields of a forged record are
  /// judged too: they are in the clear, and whoever has no key judges nothing else.
  private mutating func judge(
    _ record: Span<UInt8>, at offset: UInt64, isAuthentic: Bool
  ) throws(MigrationError) {
    let findings = findings
    let refuse: MigrationError.Refusal = { error throws(MigrationError) in
      try findings.note(error.within(.pages))
    }
    if !isAuthentic {
      try refuse(MigrationError(.pageTag, "page does not authenticate", at: offset))
      findings.obstruct(
        .pageStates, reason: "a page that does not authenticate may be any page",
        needs: "the page at byte 0x\(String(offset, radix: 16)) as the source made it")
    }
    let head = record.extracting(first: PageMetadata.contentOffset)
    var cursor = ByteCursor(head, at: offset)
    let metadata: PageMetadata
    do throws(MigrationError) {
      metadata = try PageMetadata(from: &cursor, refuse: refuse)
    } catch {
      if findings.hasStopped { throw error }
      try refuse(error)
      return try passOver(head, at: offset)
    }
    // An address that was refused goes into no book.
    guard PageMetadata.isAddress(metadata.gpa) else { return try passOver(head, at: offset) }
    if metadata.operation == .cancel, let stray = PageMetadata.strayByte(inCancel: record) {
      try refuse(
        MigrationError(
          .sectionReserved, "a cancel carries no content", at: offset + UInt64(stray),
          expected: "0", got: "\(record[stray])"))
    }
    try books.admit(metadata, record: head, at: offset, refuse: refuse)
    try host.take(metadata, at: offset, refuse: refuse)
  }

  /// Passes over a record of which it is not known what it did to which page.
  private mutating func passOver(_ head: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
    findings.obstruct(
      .epochOrder, .counts, .pageStates,
      reason: "the page record at byte 0x\(String(offset, radix: 16)) cannot be read",
      needs: "that record as it was made")
    var number = ByteCursor(head, at: offset)
    try books.skip(unreadable: head, sequence: try number.read())
  }
}
