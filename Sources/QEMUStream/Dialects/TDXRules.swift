internal import Errors
internal import PageSets
internal import Wire

/// The rules for the metadata of every bundle.
extension TDXWalker {
  /// Checks the fields that every bundle has, and updates the counters from them.
  mutating func check(
    _ metadata: TDXBundleMetadata, _ kind: TDXBundleMetadata.Kind, _ site: Site, at place: UInt64
  ) throws(MigrationError) {
    let due = version ?? metadata.migVersion.value
    version = due
    try hold(
      metadata.migVersion.value, due, .sectionVersion, "bundle has another version", site,
      at: TDXBundleMetadata.offset(of: \.migVersion, from: place))
    try hold(
      metadata.migsIndex.value, 0, .sectionInstance, "bundle is of another migration stream", site,
      at: TDXBundleMetadata.offset(of: \.migsIndex, from: place))
    try hold(
      metadata.reserved0.value, 0, .sectionReserved, "reserved bytes are not zero", site,
      at: TDXBundleMetadata.offset(of: \.reserved0, from: place))
    try hold(
      metadata.specific.value & kind.reservedBits, 0, .sectionReserved,
      "reserved bits are not zero", site,
      at: TDXBundleMetadata.offset(of: \.specific, from: place))
    try checkCounters(metadata, kind, site, at: place)
  }

  private mutating func checkCounters(
    _ metadata: TDXBundleMetadata, _ kind: TDXBundleMetadata.Kind, _ site: Site, at place: UInt64
  ) throws(MigrationError) {
    let isToken = kind == .epochToken
    // After the start token, bundles may be sent in any order.
    if isToken || epoch != Self.outOfOrder {
      try hold(
        metadata.mbCounter.value, isToken ? 0 : counter, .pageSequence,
        "bundle is missing, repeated or moved", site,
        at: TDXBundleMetadata.offset(of: \.mbCounter, from: place))
    }
    if !isToken {
      try hold(
        metadata.migEpoch.value, epoch, .pageEpoch, "bundle is of another epoch", site,
        at: TDXBundleMetadata.offset(of: \.migEpoch, from: place))
    }
    let vector = metadata.ivCounter.value
    if vector <= lastIV {
      try refuse(
        MigrationError(
          .pageSequence, "counter of initialisation vectors does not grow", in: site.place,
          at: TDXBundleMetadata.offset(of: \.ivCounter, from: place),
          expected: "more than \(lastIV)", got: "\(vector)"))
    }
    lastIV = max(lastIV, vector)
    counter = metadata.mbCounter.value &+ 1
    total &+= 1
  }

  private func hold<Value: FixedWidthInteger>(
    _ value: Value, _ due: Value, _ code: ErrorCode, _ what: String, _ site: Site, at place: UInt64
  ) throws(MigrationError) {
    guard value != due else { return }
    try refuse(
      MigrationError(code, what, in: site.place, at: place, expected: "\(due)", got: "\(value)"))
  }

  /// Reads the list of addresses and skips the list of MACs.
  mutating func readAddresses(
    _ count: Int, _ site: Site, from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    for index in 0..<count {
      let place = input.offset
      let address = TDXAddress(value: try input.read(UInt64.self).byteSwapped)
      try checkForm(address, at: place)
      // The word names only the first page.
      if index == 0, case .page(let page) = site {
        try checkPlace(of: page, address, at: place)
      }
      try take(address, site, at: place, &facts)
    }
    try input.skip(UInt64(count * 16))
  }

  private func checkForm(_ address: TDXAddress, at place: UInt64) throws(MigrationError) {
    if address.reserved != 0 {
      try refuse(
        MigrationError(
          .sectionReserved, "reserved bits are not zero", in: .ram, at: place, expected: "0",
          got: Hex.number(address.reserved)))
    }
    if address.level != 0 || address.kind != 0 {
      try refuse(
        MigrationError(
          .pageSize, "page is not of 4 KiB", in: .ram, at: place, expected: "level 0, type 0",
          got: "level \(address.level), type \(address.kind)"))
    }
    if address.status != 0, address.operation != .none {
      try refuse(
        MigrationError(
          .pageOperation, "page was not exported", in: .ram, at: place, expected: "status 0",
          got: "\(address.status)"))
    }
  }

  private mutating func checkPlace(
    of page: RAMPage, _ address: TDXAddress, at place: UInt64
  ) throws(MigrationError) {
    guard !books.place(page, at: address.gpa) else { return }
    try refuse(
      MigrationError(
        .pageAddress, "address does not follow the page's place in its block", in: .ram, at: place,
        got: "\(Hex.number(address.gpa)) for offset \(Hex.number(page.offset))"))
  }

  /// Enters the page of an entry in the books.
  private mutating func take(
    _ address: TDXAddress, _ site: Site, at place: UInt64, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    let cancels = if case .cancel = site { true } else { false }
    let operation = address.operation
    facts.notePageOfEpoch()
    guard operation != .none else {
      facts.pages.skipped += 1
      facts.pages.records += 1
      return
    }
    let page = address.gpa / UInt64(Page.size)
    let known = try books.note(page, isPresent: !cancels)
    if known.isCurrent {
      try refuse(
        MigrationError(
          .pageRepeated, "page is repeated within an epoch", in: .ram, at: place,
          got: Hex.number(address.gpa)))
    }
    let wasThere = known.isPresent
    let due: TDXAddress.Operation = cancels ? .cancel : wasThere ? .migrateAgain : .migrate
    if operation != due || cancels && !wasThere {
      try refuse(
        MigrationError(
          .pageOperation, "operation contradicts an earlier record of the page", in: .ram,
          at: place,
          expected: cancels && !wasThere ? "a page that was sent" : "\(due.rawValue)",
          got: "\(operation.rawValue)"))
    }
    facts.pages.records += 1
    if cancels {
      facts.pages.cancelled += 1
      if wasThere { facts.pages.distinct -= 1 }
    } else if wasThere {
      facts.pages.again += 1
    } else {
      facts.pages.distinct += 1
    }
  }
}

/// The pages of a guest that were sent, and those that were sent in the current epoch.
final class TDXPageBooks {
  private var pages = PageTracker()
  /// The mapping of each block, by the block's number.
  private var mappings: [Int: Mapping] = [:]

  /// The mapping of a block, which has at most one part below 4 GiB and one part above, the end of
  /// the block. The first page of each part gives the distance between addresses and offsets in
  /// that part.
  private struct Mapping {
    var low: UInt64?
    var high: UInt64?
    /// The last offset known to be in the part below 4 GiB, and the first known to be above.
    var lastLow: UInt64 = 0
    var firstHigh = UInt64.max
  }

  func beginEpoch() { pages.beginRound() }

  /// Enters a page that was sent, or withdrawn.
  /// - Returns: what was known of the page before.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of the pages.
  func note(_ page: UInt64, isPresent: Bool) throws(MigrationError) -> PageTracker.Bits {
    try pages.note(page, isPresent: isPresent)
  }

  /// Enters the address of a page.
  /// - Returns: whether the address agrees with those of the earlier pages of the block.
  func place(_ page: RAMPage, at gpa: UInt64) -> Bool {
    var mapping = mappings[page.block] ?? Mapping()
    let distance = gpa &- page.offset
    if gpa >> 32 == 0 {
      guard distance == mapping.low ?? distance, page.offset < mapping.firstHigh else {
        return false
      }
      mapping.low = distance
      mapping.lastLow = max(mapping.lastLow, page.offset)
    } else {
      let isBehind = mapping.low == nil || page.offset > mapping.lastLow
      guard distance == mapping.high ?? distance, isBehind else { return false }
      mapping.high = distance
      mapping.firstHigh = min(mapping.firstHigh, page.offset)
    }
    mappings[page.block] = mapping
    return true
  }
}
