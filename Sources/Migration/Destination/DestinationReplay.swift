package import Errors
package import Guest
internal import SEVSNP
package import SVSM
internal import Wire

/// The result of a replay: memory as it was at a moment within the stream.
package struct ReplaySummary: Sendable {
  /// Bytes of the stream up to the moment: the end of the last record that counts.
  package var bytes: UInt64
  /// Number of private and of shared pages that are present.
  package var privatePages: UInt64
  package var sharedPages: UInt64
  /// The memory's description; its `moment` is set.
  package var guest: GuestDescription
  /// The transfer data of the session.
  package var transferData: TransferData
}

extension DestinationVMM {
  /// Receives a stream up to a moment within it, and checks everything up to there as a load does,
  /// with the token of an epoch that is whole. No final state is read.
  ///
  /// - Parameters:
  ///   - moment: the place at which the replay ends.
  ///   - begin: passes the transfer data, and its offset in the stream, to the destination SVSM.
  ///   - memory: creates the memory.
  ///   - progress: called from time to time.
  /// - Throws: any refusal, with section and offset; `EPOCH-MISSING` when the stream does not reach
  ///   the moment.
  package mutating func replay(
    until moment: GuestMoment,
    begin: (TransferData, UInt64) throws(MigrationError) -> DestinationSVSM,
    memory: (IncomingMemory) throws(MigrationError) -> any GuestMemoryOutput,
    progress: Progress
  ) throws(MigrationError) -> ReplaySummary {
    var svsm = try receiveHead(begin: begin, memory: memory)
    let end = try receiveMemory(until: moment, &svsm, progress)
    guard let session else { throw MigrationError(.internal, "stream had no session") }
    guard let validated = try svsm.privatePages(limit: Self.rangeLimit),
      let shared = try host.sharedRanges(limit: Self.rangeLimit)
    else { throw GuestDescription.alternates }
    return ReplaySummary(
      bytes: end, privatePages: validated.reduce(0) { $0 + $1.pages },
      sharedPages: shared.joined().reduce(0) { $0 + $1.pages },
      guest: try GuestDescription(
        at: moment, machine: host.machine ?? "", blocks: host.blocks, map: host.map,
        validated: validated, shared: shared), transferData: session)
  }

  /// Largest number of ranges of private or of shared pages: a manifest could not hold more.
  private static let rangeLimit = GuestBundle.maximumManifestSize / 32

  /// - Returns: stream offset after the last record before the moment.
  private mutating func receiveMemory(
    until moment: GuestMoment, _ svsm: inout DestinationSVSM, _ progress: Progress
  ) throws(MigrationError) -> UInt64 {
    // The reader may be further: it reads ahead.
    var end: UInt64 = 0
    // Page records of the open epoch.
    var records: UInt64 = 0
    var restored: RestoredState?
    while epochs < moment.epoch {
      let isEpoch = epochs + 1 == moment.epoch
      switch try stream.next() {
      case .pages(let batch):
        var count = batch.count
        if isEpoch, let limit = moment.pageRecords {
          count = Int(min(UInt64(count), limit - records))
        }
        do throws(MigrationError) {
          try place(batch, count, &svsm)
        } catch {
          throw error.within(.pages)
        }
        records += UInt64(count)
        end = batch.offset(count - 1) + UInt64(PageMetadata.recordSize)
      case .record(.end): throw missing(moment, records)
      case .record(let record):
        let closed = epochs
        try receiveNamed(record, &svsm, &restored)
        guard epochs > closed else { break }
        end = stream.reader.payloadOffset + UInt64(EpochToken.Layout.size)
        if isEpoch && moment.pageRecords != nil || !isEpoch && svsm.phase != .importing {
          throw missing(moment, records)
        }
        records = 0
      case .findings: break
      }
      progress(stream.reader.offset)
      if isEpoch, records == moment.pageRecords { break }
    }
    try writeRun()
    return end
  }

  /// The refusal of a moment that the stream does not reach: its last epoch, or the epoch of the
  /// moment, was just closed.
  /// - Parameter records: number of page records of that epoch.
  private func missing(_ moment: GuestMoment, _ records: UInt64) -> MigrationError {
    MigrationError(
      .epochMissing,
      epochs < moment.epoch
        ? "the stream has fewer epochs" : "the epoch has fewer page records",
      at: stream.reader.payloadOffset, expected: "\(moment)",
      got: epochs < moment.epoch ? "\(epochs)" : "\(records)")
  }
}

extension Range<UInt64> {
  /// Number of pages in a range of addresses.
  fileprivate var pages: UInt64 { (upperBound - lowerBound) / Page.size64 }
}

extension GuestDescription {
  /// The memory of a moment within a stream.
  /// - Parameters:
  ///   - validated: the private pages that are present, by guest-physical address.
  ///   - shared: for each block, the pages that hold shared content, by offset.
  /// - Throws: what `validate` refuses.
  fileprivate init(
    at moment: GuestMoment, machine: String, blocks: [Guest.RAMBlock], map: GuestMap,
    validated: [Range<UInt64>], shared: [[Range<UInt64>]]
  ) throws(MigrationError) {
    var known = validated.map { (range: $0, state: PageState.validated) }
    known += map.addresses(of: shared).map { (range: $0, state: PageState.shared) }
    known.sort { $0.range.lowerBound < $1.range.lowerBound }
    var states = PageStateMap()
    var rest = known[...]
    for range in map.ranges {
      var next = range.gpa
      while let first = rest.first, first.range.lowerBound < range.end {
        let part = first.range.clamped(to: range.gpa..<range.end)
        try states.join(next..<part.lowerBound, as: .unaccepted)
        try states.join(part, as: first.state)
        next = part.upperBound
        if first.range.upperBound > range.end { break }
        rest.removeFirst()
      }
      try states.join(next..<range.end, as: .unaccepted)
    }
    self.init(
      machine: machine, ramBlocks: blocks, map: map, attributes: states.privateAddresses,
      pageStates: states, vcpus: [], services: [])
    self.moment = moment
    try validate()
  }
}

extension GuestMap {
  /// The guest-physical addresses of parts of RAM blocks, as far as they are mapped.
  /// - Parameter parts: for each block, ranges of offsets that are ascending and apart.
  fileprivate func addresses(of parts: [[Range<UInt64>]]) -> [Range<UInt64>] {
    var found: [Range<UInt64>] = []
    var next = [Int](repeating: 0, count: parts.count)
    for range in rangesByPlace where parts.indices.contains(range.block) {
      let (block, parts) = (range.block, parts[range.block])
      while next[block] < parts.count, parts[next[block]].lowerBound < range.offsetEnd {
        let part = parts[next[block]].clamped(to: range.offset..<range.offsetEnd)
        if !part.isEmpty {
          let gpa = range.gpa + (part.lowerBound - range.offset)
          found.append(gpa..<gpa + (part.upperBound - part.lowerBound))
        }
        if parts[next[block]].upperBound > range.offsetEnd { break }
        next[block] += 1
      }
    }
    return found
  }
}
