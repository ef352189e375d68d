package import Errors
package import Wire

/// The page states of a whole guest: the trusted side's record of what it validated.
///
/// Runs are in ascending order, do not overlap and cannot be merged, so that a map has exactly one
/// encoding. Pages outside of all runs do not exist. Source: AMD's SNP firmware ABI, page states;
/// the encoding is this project's own (`Formats/stream.md`, "Page states").
package struct PageStateMap: Sendable, Hashable {
  /// Largest number of runs.
  package static let maximumCount = StateRoom.size / StateRoom.run

  package private(set) var runs = PageRuns()

  /// One run on the wire, big-endian.
  package struct Layout: WireRecord {
    package static let name = "page-state-run"

    /// 4 KiB aligned; 2 MiB aligned when `size` is 1.
    package var gpa: BE64
    /// Number of 4 KiB pages, at least 1.
    package var pages: BE64
    /// See `PageState`.
    package var state: U8
    /// See `RMPPageSize`.
    package var size: U8
    /// Zero.
    package var reserved: BE16
    /// One byte each for VMPL0 to VMPL3.
    package var permissions: BE32
  }

  /// Limit of addresses: 52 bits, the architectural limit.
  package static let addressLimit: UInt64 = 1 << 52

  package init() {}

  /// A map of `runs`, which must be in ascending order; equal neighbours are joined.
  /// - Throws: `MAP-SYNTAX` when a run is not well formed or overlaps the one before it.
  package init(joining runs: some Sequence<PageRun>) throws(MigrationError) {
    for run in runs { try join(run) }
  }

  /// Appends a run that is after all others, as a part of the last one where it continues it.
  /// - Throws: `MAP-SYNTAX`.
  package mutating func join(_ run: PageRun) throws(MigrationError) {
    guard let last = runs.last, last.isContinued(by: run) else { return try append(run, at: nil) }
    try Self.check(run, after: last, at: nil)
    runs.extendLast(by: run.pages)
  }

  /// Appends a run that is after all others and does not continue the last one.
  /// - Throws: `MAP-SYNTAX`, naming `offset`.
  package mutating func append(_ run: PageRun, at offset: UInt64?) throws(MigrationError) {
    if let last = runs.last, last.isContinued(by: run) {
      throw MigrationError(
        .mapSyntax, "page-state run could be joined to the one before it", at: offset)
    }
    guard runs.count < Self.maximumCount else {
      throw MigrationError(
        .mapSyntax, "there are too many page-state runs", at: offset,
        expected: "at most \(Self.maximumCount)")
    }
    try Self.check(run, after: runs.last, at: offset)
    runs.append(run)
  }

  /// Decodes runs from `cursor` to its end and appends them.
  /// - Throws: `MAP-SYNTAX`; `STREAM-TRUNCATED` when the bytes end inside a run.
  package mutating func appendRuns(from cursor: inout ByteCursor) throws(MigrationError) {
    while cursor.remaining > 0 {
      let start = cursor.offset
      let record = try cursor.read(Layout.self)
      guard let state = PageState(rawValue: record.state.value),
        let size = RMPPageSize(rawValue: record.size.value), record.reserved.isZero
      else {
        throw MigrationError(.mapSyntax, "page-state run has an unknown value", at: start)
      }
      let run = PageRun(
        gpa: record.gpa.value, pages: record.pages.value, state: state, size: size,
        permissions: VMPLPermissions(rawValue: record.permissions.value))
      try append(run, at: start)
    }
  }

  /// The encoding of the runs, one record each.
  /// - Parameter count: number of runs in each part except for the last.
  package func encoded(inPartsOf count: Int) -> some Sequence<[UInt8]> {
    sequence(state: runs.makeIterator()) { (rest: inout PageRuns.Iterator) -> [UInt8]? in
      var bytes: [UInt8] = []
      while bytes.count < count * Layout.size, let run = rest.next() {
        if bytes.isEmpty { bytes.reserveCapacity(min(count, runs.count) * Layout.size) }
        bytes.append(
          Layout(
            gpa: BE64(run.gpa), pages: BE64(run.pages), state: U8(run.state.rawValue),
            size: U8(run.size.rawValue), reserved: BE16(0),
            permissions: BE32(run.permissions.rawValue)))
      }
      return bytes.isEmpty ? nil : bytes
    }
  }

  /// Number of 4 KiB pages in `state`.
  package func pages(in state: PageState) -> UInt64 {
    runs.reduce(0) { $0 + ($1.state == state ? $1.pages : 0) }
  }

  /// The run that holds `gpa`, found by binary search; nil when there is none.
  package func run(at gpa: UInt64) -> PageRun? {
    var near = runs.iterator(near: gpa)
    while let run = near.next(), run.gpa <= gpa {
      if gpa < run.end { return run }
    }
    return nil
  }

  /// The address of the first page that has a state and is at least partly in `addresses`; nil when
  /// there is none.
  package func firstPage(in addresses: Range<UInt64>) -> UInt64? {
    guard !addresses.isEmpty else { return nil }
    let start = addresses.lowerBound & ~(RMPPageSize.size4K.bytes - 1)
    var near = runs.iterator(near: start)
    while let run = near.next(), run.gpa < addresses.upperBound {
      if start < run.end { return max(start, run.gpa) }
    }
    return nil
  }

  private static func check(
    _ run: PageRun, after last: PageRun?, at offset: UInt64?
  ) throws(MigrationError) {
    func refusal(_ what: String) -> MigrationError { .init(.mapSyntax, what, at: offset) }
    guard run.pages > 0, run.gpa < addressLimit,
      run.pages <= (addressLimit - run.gpa) / RMPPageSize.size4K.bytes
    else {
      throw refusal("page-state run is empty or beyond the address limit")
    }
    guard run.gpa % run.size.bytes == 0, (run.end - run.gpa) % run.size.bytes == 0 else {
      throw refusal("page-state run is not aligned to its page size")
    }
    guard last.map({ $0.end <= run.gpa }) ?? true else {
      throw refusal("page-state runs overlap or are out of order")
    }
    guard run.permissions.isValid, run.state == .validated || run.permissions == .none else {
      throw refusal("page-state run has permissions its state cannot have")
    }
    guard run.state != .secrets || (run.pages == 1 && run.size == .size4K) else {
      throw refusal("the secrets page is one 4 KiB page")
    }
  }
}
