internal import Errors
internal import SVSM
internal import Wire

/// The trace of an audit: the calls that a destination would make for the same records. Unlike a
/// destination an audit goes on after a refusal, and so does its trace.
extension StreamAudit {
  /// A record that was read, whatever is wrong with it.
  enum Judged {
    case token(EpochToken)
    case final(FinalRecord)
  }

  // Not a property: the records can only be asked while they may be changed.
  private mutating func phase() -> String {
    if let phase = records?.phase { return "\(phase)" }
    return "\(instance?.stage ?? .ready)"
  }

  /// Judges one record by `body`, and notes it in the trace, if there is one.
  mutating func traced(
    _ call: TraceCall, _ body: (inout StreamAudit) throws(MigrationError) -> Judged?
  ) throws(MigrationError) {
    guard let trace else {
      _ = try body(&self)
      return
    }
    let (before, offset) = (phase(), stream.reader.payloadOffset)
    findings.recent = nil
    let judged: Judged?
    do throws(MigrationError) {
      judged = try body(&self)
    } catch {
      note(named(error), of: call, from: before, at: offset)
      throw error
    }
    if let error = findings.recent {
      note(error, of: call, from: before, at: offset)
    } else {
      switch judged {
      case .token(let token): trace.note(token, by: call, from: before, to: phase(), at: offset)
      case .final(let record): trace.note(record, by: call, from: before, to: phase(), at: offset)
      case nil: trace.note(call, from: before, to: phase(), at: offset)
      }
    }
    if let epoch = records?.epoch { trace.follow(epoch) }
  }

  private mutating func note(
    _ error: MigrationError, of call: TraceCall, from before: String, at offset: UInt64
  ) {
    trace?.refuse(
      call, from: before, to: phase(), with: error.code, in: error.place,
      at: error.offset ?? offset)
  }

  /// Notes the page records of a batch that was judged.
  mutating func note(_ batch: PageBatch, _ records: Span<UInt8>, without refused: RefusedPages) {
    guard let trace else { return }
    let (stride, phase) = (SNPStreamReader.pageStride, phase())
    for index in 0..<batch.count {
      let offset = batch.offset(index)
      if let error = refused.first[index] {
        note(error.within(.pages), of: .processPages, from: phase, at: offset)
        continue
      }
      let start = index * stride
      let head = records.extracting(start..<start + PageMetadata.contentOffset)
      var cursor = ByteCursor(head, at: offset)
      // It has been read before, and was found good.
      guard let page = try? PageMetadata(from: &cursor) else { continue }
      trace.note(page, by: .processPages, in: phase, at: offset, stride: UInt64(stride))
    }
    if let epoch = self.records?.epoch { trace.follow(epoch) }
  }
}

/// The page records of a batch that were refused, for a trace: the first finding of each.
final class RefusedPages {
  private(set) var first: [Int: MigrationError] = [:]
  private let batch: PageBatch

  init(of batch: PageBatch) { self.batch = batch }

  /// A handler of findings that notes them here before `refuse` is called.
  func noting(_ refuse: @escaping MigrationError.Refusal) -> MigrationError.Refusal {
    { error throws(MigrationError) in
      let place = (error.offset ?? 0) &- self.batch.offset(0)
      let index = Int(clamping: place / UInt64(SNPStreamReader.pageStride))
      if index < self.batch.count, self.first[index] == nil { self.first[index] = error }
      try refuse(error)
    }
  }
}
