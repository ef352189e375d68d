internal import Errors
internal import Wire

/// Reads the bundles that Intel's QEMU writes for a TDX guest, and checks their counters, epochs
/// and addresses by the rules of an import (intel/qemu-td-partitioning fa1962bb,
/// `migration/{cgs,cgs-tdx,ram,savevm}.c`; intel/tdx-module 72d8cffb,
/// `src/vmm_dispatcher/migration_api_calls`).
struct TDXWalker {
  /// The position of a bundle in the stream, which decides the kinds that are allowed.
  enum Site {
    /// After the byte that begins a confidential guest.
    case start
    case page(RAMPage)
    /// After a word that cancels a page.
    case cancel
    case epoch
    /// After the byte that ends a confidential guest.
    case end

    var place: Place {
      switch self {
      case .start: .cgsStart
      case .page, .cancel, .epoch: .ram
      case .end: .cgsEnd
      }
    }
  }

  /// Record types between sections.
  static let startType: UInt8 = 0x09
  static let endType: UInt8 = 0x0A
  /// Flags of words in a `ram` body.
  static let stateFlag: UInt64 = 0x400
  static let epochFlag: UInt64 = 0x800
  /// Not within the flags of a word: it is the lowest bit of the page number.
  static let cancelFlag: UInt64 = 0x1000
  /// Most pages in a bundle.
  static let pageLimit: UInt16 = 512
  /// The epoch after the start token.
  static let outOfOrder = UInt32.max

  let refuse: MigrationError.Refusal
  /// The required counter and epoch of the next bundle.
  var counter: UInt32 = 0
  var epoch: UInt32 = 0
  /// Number of bundles so far.
  var total: UInt64 = 0
  var lastIV: UInt64 = 0
  var version: UInt16?
  let books = TDXPageBooks()
  /// Stream offset of the guest's end; nil before it.
  private var endStart: UInt64?
  /// Kind of the previous bundle, while the bundles of the guest's end are being read.
  private var endBefore: TDXBundleMetadata.Kind?
  var isInEnd: Bool { endBefore != nil }
  private var vcpus: Set<UInt16> = []

  init(refuse: @escaping MigrationError.Refusal) { self.refuse = refuse }

  // MARK: Positions of bundles

  /// Reads the bundle after the byte that begins a confidential guest.
  /// - Throws: codes of bundles.
  mutating func readStart(
    from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    facts.dialect = .intelTDX
    _ = try readBundle(.start, from: input, &facts)
  }

  /// Reads the data after a word of a `ram` body.
  /// - Returns: the page that the record exports, if it exports one.
  /// - Throws: `RAM-FLAGS` for a word that does not belong to this dialect; codes of bundles.
  mutating func read(
    _ word: ForeignWord, _ ram: inout RAMDecoder, from input: StreamInput,
    _ facts: inout ConfidentialFacts
  ) throws(MigrationError) -> RAMPage? {
    switch word.type {
    case Self.stateFlag:
      let page = try ram.place(word.address, word.isContinued, at: word.offset, from: input)
      _ = try readBundle(.page(page), from: input, &facts)
      return page
    case Self.epochFlag where word.word == Self.epochFlag:
      _ = try readBundle(.epoch, from: input, &facts)
    case 0 where word.word & Self.cancelFlag != 0:
      _ = try ram.place(
        word.address & ~Self.cancelFlag, word.isContinued, at: word.offset, from: input)
      _ = try readBundle(.cancel, from: input, &facts)
    default: throw word.refusal
    }
    return nil
  }

  /// Reads one bundle of the end of a confidential guest. The end consists of the state of the
  /// guest after the byte that begins the end, the state of each vCPU, the start token, and a
  /// footer without an id. Only one bundle is read by each call, because a caller that hashes the
  /// stream keeps all bytes that one call consumes.
  /// - Throws: codes of bundles; `SECTION-FOOTER`.
  mutating func readEnd(
    from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    if endStart != nil, !isInEnd {
      try refuse(
        MigrationError(.sectionOrder, "guest's state is repeated", in: .cgsEnd, at: input.offset))
    }
    let start = endStart ?? input.offset
    endStart = start
    endBefore = try readBundle(.end, after: endBefore, from: input, &facts)
    guard endBefore == .epochToken else { return }
    endBefore = nil
    let place = input.offset
    let footer = try input.read(UInt8.self)
    guard footer == RecordType.footer.rawValue else {
      throw MigrationError(
        .sectionFooter, "state does not end with its footer", in: .cgsEnd, at: place,
        expected: "0x7e", got: Hex.number(footer))
    }
    try checkVCPUs(at: start)
  }

  /// Checks, at the end of the sections, that all required records were in the stream.
  func finish(
    _ facts: ConfidentialFacts, at offset: UInt64, hasCPU: (UInt32) -> Bool
  ) throws(MigrationError) {
    guard endStart != nil else {
      return try refuse(
        MigrationError(
          .sectionMissing, "guest's state and the start token are missing",
          in: .cgsEnd, at: offset))
    }
    guard hasCPU(0) else { return }
    let sections = (0..<UInt32(UInt16.max)).prefix { hasCPU($0) }.count
    guard sections != vcpus.count else { return }
    try refuse(
      MigrationError(
        .vcpuCount, "number of vCPU states is not that of the vCPUs", in: .cgsEnd, at: offset,
        expected: "one for each of the \(sections) cpu sections",
        got: "\(vcpus.count)"))
  }

  // MARK: Bundles

  /// - Returns: the kind of the bundle.
  private mutating func readBundle(
    _ site: Site, after before: TDXBundleMetadata.Kind? = nil, from input: StreamInput,
    _ facts: inout ConfidentialFacts
  ) throws(MigrationError) -> TDXBundleMetadata.Kind {
    let start = input.offset
    let header = try input.readRecord(TDXBundleHeader.self)
    let place = input.offset
    let metadata = try input.readRecord(TDXBundleMetadata.self)
    let kind = try kind(of: metadata, site, after: before, at: place)
    let pages = header.pages.value
    try requirePages(pages, kind, site, at: TDXBundleHeader.offset(of: \.pages, from: start))
    let continues = kind == .state || kind == .vcpu
    guard header.flags.value == (continues ? TDXBundleHeader.continues : 0) else {
      throw MigrationError(
        .sectionReserved, "flags of a bundle are not allowed at its place", in: site.place,
        at: start,
        expected: continues ? "1" : "0", got: "\(header.flags.value)")
    }
    facts.bundles += 1
    try check(metadata, kind, site, at: place)
    try input.skip(UInt64(pages) * UInt64(Page.size))
    switch kind {
    case .immutableState, .state: break
    case .vcpu: try take(vcpu: metadata, pages: pages, at: start, place, &facts)
    case .epochToken: try take(token: metadata, site, at: start, place, &facts)
    case .memory:
      let count = metadata.specific.value & 0xFFFF
      if count != UInt64(pages) {
        try refuse(
          MigrationError(
            .pageSequence, "count of pages in the metadata is wrong", in: site.place,
            at: TDXBundleMetadata.offset(of: \.specific, from: place), expected: "\(pages)",
            got: "\(count)"))
      }
      try readAddresses(Int(pages), site, from: input, &facts)
    }
    return kind
  }

  private func kind(
    of metadata: TDXBundleMetadata, _ site: Site, after before: TDXBundleMetadata.Kind?,
    at place: UInt64
  ) throws(MigrationError) -> TDXBundleMetadata.Kind {
    guard Int(metadata.size.value) == TDXBundleMetadata.size else {
      throw MigrationError(
        .sectionLength, "metadata of a bundle has a wrong length", in: site.place, at: place,
        expected: "\(TDXBundleMetadata.size)", got: "\(metadata.size.value)")
    }
    let allowed: [TDXBundleMetadata.Kind] =
      switch site {
      case .start: [.immutableState]
      case .page, .cancel: [.memory]
      case .epoch: [.epochToken]
      case .end: before == nil ? [.state] : [.vcpu, .epochToken]
      }
    guard let kind = TDXBundleMetadata.Kind(rawValue: metadata.mbType.value),
      allowed.contains(kind)
    else {
      throw MigrationError(
        .sectionOrder, "bundle is not allowed here", in: site.place,
        at: TDXBundleMetadata.offset(of: \.mbType, from: place),
        expected: "type " + allowed.map { "\($0.rawValue)" }.joined(separator: " or "),
        got: "\(metadata.mbType.value)")
    }
    return kind
  }

  private func requirePages(
    _ pages: UInt16, _ kind: TDXBundleMetadata.Kind, _ site: Site, at place: UInt64
  ) throws(MigrationError) {
    let allowed: ClosedRange<UInt16> = kind == .epochToken ? 0...0 : 1...Self.pageLimit
    guard allowed.contains(pages) else {
      throw MigrationError(
        .sectionLength, "bundle has a number of pages that is not allowed", in: site.place,
        at: place,
        expected: kind == .epochToken ? "0" : "1 to \(Self.pageLimit)", got: "\(pages)")
    }
  }

  // MARK: States and tokens

  private mutating func take(
    vcpu metadata: TDXBundleMetadata, pages: UInt16, at start: UInt64, _ place: UInt64,
    _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    let index = UInt16(truncatingIfNeeded: metadata.specific.value)
    if !vcpus.insert(index).inserted {
      try refuse(
        MigrationError(
          .vcpuRepeated, "state of a vCPU is repeated", in: .cgsEnd,
          at: TDXBundleMetadata.offset(of: \.specific, from: place), got: "vCPU \(index)"))
    }
    guard facts.cpuStates.count < ConfidentialFacts.listLimit else {
      throw MigrationError(
        .vcpuCount, "too many states of vCPUs", in: .cgsEnd, at: start,
        expected: "at most \(ConfidentialFacts.listLimit)")
    }
    facts.cpuStates.append(
      .init(
        index: UInt32(index), size: UInt64(pages) * UInt64(Page.size), offset: start))
  }

  /// The TDX module numbers the vCPUs from 0 on, without gaps.
  private func checkVCPUs(at start: UInt64) throws(MigrationError) {
    guard let last = vcpus.max(), Int(last) >= vcpus.count else { return }
    try refuse(
      MigrationError(
        .vcpuCount, "states of vCPUs have a gap", in: .cgsEnd, at: start,
        expected: "0 to \(vcpus.count - 1)", got: "vCPU \(last)"))
  }

  private mutating func take(
    token metadata: TDXBundleMetadata, _ site: Site, at start: UInt64, _ place: UInt64,
    _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    let number = metadata.migEpoch.value
    let isStart = if case .end = site { true } else { false }
    let due = isStart ? Self.outOfOrder : epoch &+ 1
    if number != due {
      try refuse(
        MigrationError(
          .epochOrder, "epoch does not follow the one before", in: site.place,
          at: TDXBundleMetadata.offset(of: \.migEpoch, from: place), expected: Hex.number(due),
          got: Hex.number(number)))
    }
    let claimed = metadata.specific.value
    if claimed != total {
      try refuse(
        MigrationError(
          .epochCount, "count of bundles in the token is wrong", in: site.place,
          at: TDXBundleMetadata.offset(of: \.specific, from: place),
          expected: "\(total), those on multifd channels not counted", got: "\(claimed)"))
    }
    (epoch, total, counter) = (isStart ? Self.outOfOrder : due, claimed, 1)
    books.beginEpoch()
    facts.note(.init(number: number, totalBundles: claimed, offset: start))
  }
}
