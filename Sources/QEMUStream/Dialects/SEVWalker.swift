internal import Errors
internal import Wire

/// Reads the records that AMD's proposal of 2021 and openEuler's QEMU write for SEV and CSV guests,
/// and checks that the unencrypted fields agree (AMDESE/qemu 67935c3f, `migration/ram.c`,
/// `target/i386/sev.c`; openeuler-mirror/qemu 84b004d8, the same files; for CSV3
/// Avenger-285714/qemu-deepin 35ba8fdf).
struct SEVWalker {
  /// The kind of a record of encrypted data.
  enum Kind: UInt32 {
    case page = 1
    case sharedRegions = 2
    case batch = 4
    case batchEnd = 5
    case cpuState = 6
  }

  /// Flag of encrypted data in AMD's proposal. QEMU later used the same flag for multifd flushes.
  static let amdFlag: UInt64 = 0x200
  /// Flag of encrypted data in openEuler's QEMU.
  static let openEulerFlag: UInt64 = 0x400
  /// Largest data block from the firmware, in bytes (`SEV_FW_BLOB_MAX_SIZE`).
  static let blobLimit: UInt32 = 0x4000
  /// Most pages in a batch (`CSV_OUTGOING_PAGE_WINDOW_SIZE`).
  static let batchLimit = 4094
  /// Most shared regions that are read.
  static let regionLimit: UInt64 = 1 << 20
  /// Most CPU states that are read.
  static let cpuLimit = 4096

  let flag: UInt64
  let refuse: MigrationError.Refusal
  /// Size of a packet header in bytes, which is constant in a stream; nil before the first header.
  private var headerSize: UInt32?
  /// The open batch: its last page, its number of pages, and the required offset of its next word.
  private var batch: (page: RAMPage, count: Int, next: UInt64)?
  let books = SEVPageBooks()
  private var hasRegions = false
  private var hasCPUStates = false
  private var isHygon = false
  private var cpuIndexes: Set<UInt32> = []

  init(flag: UInt64, refuse: @escaping MigrationError.Refusal) {
    (self.flag, self.refuse) = (flag, refuse)
  }

  // MARK: Words

  /// Reads the data after a word of encrypted data.
  /// - Returns: the page that the record concerns, if it names one.
  /// - Throws: `SECTION-LENGTH`, `RAM-DATA`, `RAM-BLOCK`, `RAM-OFFSET`, `STREAM-TRUNCATED`; the
  ///   errors of `refuse`.
  mutating func read(
    _ word: ForeignWord, _ ram: inout RAMDecoder, from input: StreamInput,
    _ facts: inout ConfidentialFacts
  ) throws(MigrationError) -> RAMPage? {
    let page = try ram.place(word.address, word.isContinued, at: word.offset, from: input)
    let place = input.offset
    let number = try input.read(UInt32.self)
    guard let kind = Kind(rawValue: number),
      flag == Self.openEulerFlag || kind == .page || kind == .sharedRegions
    else {
      throw MigrationError(
        .ramData, "encrypted data of an unknown kind", in: .ram, at: place,
        expected: flag == Self.amdFlag ? "1 or 2" : "1, 2, 4, 5 or 6", got: "\(number)")
    }
    if kind == .sharedRegions || kind == .cpuState, word.address != 0 {
      try refuse(
        MigrationError(
          .ramOffset, "word of a list has an offset", in: .ram, at: word.offset, expected: "0",
          got: Hex.number(word.address)))
    }
    try checkOrder(of: kind, page, at: word.offset)
    switch kind {
    case .page, .batch, .batchEnd:
      if facts.session == nil { try readSession(from: input, &facts) }
      if facts.session?.policy.isCSV3 == true {
        try readFrames(kind, word, at: place, from: input, &facts)
        identify(&facts)
        return nil
      }
      try readPacket(from: input)
      try note(kind, page, word.offset..<input.offset, &facts)
      identify(&facts)
      return page
    case .sharedRegions: try readRegions(from: input, &facts)
    case .cpuState: try readCPUStates(from: input, &facts)
    }
    identify(&facts)
    return nil
  }

  /// Checks at the end of a body that no batch is open: a batch must end in the body in which it
  /// began.
  mutating func endBody(at offset: UInt64) throws(MigrationError) {
    guard batch != nil else { return }
    batch = nil
    try refuse(
      MigrationError(
        .sectionOrder, "batch of encrypted pages does not end", in: .ram, at: offset,
        expected: "a record of kind 5"))
  }

  /// Checks, at the end of the sections, that all required records were in the stream.
  /// - Parameter hasCPU: whether the stream has a section `cpu` of the given instance.
  mutating func finish(
    _ facts: ConfidentialFacts, at offset: UInt64, hasCPU: (UInt32) -> Bool
  ) throws(MigrationError) {
    if !hasRegions {
      try refuse(
        MigrationError(
          .sectionMissing, "list of shared regions is missing", in: .ram, at: offset))
    }
    guard let policy = facts.session?.policy, policy.hasEncryptedState else { return }
    guard hasCPUStates else {
      return try refuse(
        MigrationError(
          .vcpuCount, "CPU states are missing, and the guest's policy encrypts them", in: .ram,
          at: offset))
    }
    // The `cpu` sections of a machine are numbered from 0 on. A stream without any is not a
    // finding.
    guard !policy.isCSV3, hasCPU(0) else { return }
    let sections = UInt32((0..<UInt32(Self.cpuLimit)).prefix { hasCPU($0) }.count)
    let isSame =
      cpuIndexes.allSatisfy(hasCPU) && (0..<sections).allSatisfy { cpuIndexes.contains($0) }
    guard !isSame else { return }
    try refuse(
      MigrationError(
        .vcpuCount, "number of CPU states is not that of the vCPUs", in: .ram, at: offset,
        expected: "one for each of the \(sections) cpu sections",
        got: "\(cpuIndexes.count)"))
  }

  // MARK: Order

  private mutating func checkOrder(
    of kind: Kind, _ page: RAMPage, at offset: UInt64
  ) throws(MigrationError) {
    let isOpen = batch.map { $0.page.block == page.block && $0.next == offset } ?? false
    let continues = kind == .batch || kind == .batchEnd
    if batch != nil, !(isOpen && continues) {
      batch = nil
      try refuse(
        MigrationError(
          .sectionOrder, "batch of encrypted pages is broken off", in: .ram, at: offset,
          expected: "a page of kind 4 or 5, of the same block", got: "kind \(kind.rawValue)"))
    }
    switch kind {
    case .cpuState where hasCPUStates, .sharedRegions where hasRegions || hasCPUStates:
      try refuse(
        MigrationError(
          .sectionOrder, "list is repeated or out of order", in: .ram, at: offset,
          expected: "shared regions once, then CPU states once"))
    case .cpuState where !hasRegions, .page where hasRegions, .batch where hasRegions,
      .batchEnd where hasRegions:
      try refuse(
        MigrationError(
          .sectionOrder, "shared regions are not between pages and CPU states", in: .ram,
          at: offset))
    case .page, .sharedRegions, .batch, .batchEnd, .cpuState: break
    }
  }

  private mutating func note(
    _ kind: Kind, _ page: RAMPage, _ record: Range<UInt64>, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    facts.notePage(isNew: try books.add(page))
    guard kind != .page else { return }
    isHygon = true
    if let open = batch, page.offset <= open.page.offset {
      try refuse(
        MigrationError(
          .ramOffset, "pages of a batch are out of order", in: .ram,
          at: record.lowerBound,
          expected: "more than \(Hex.number(open.page.offset))", got: Hex.number(page.offset)))
    }
    let count = (batch?.count ?? 0) + 1
    guard count <= Self.batchLimit else {
      throw MigrationError(
        .sectionLength, "batch has too many pages", in: .ram, at: record.lowerBound,
        expected: "at most \(Self.batchLimit)")
    }
    if count == 1 { facts.pages.batches += 1 }
    batch = kind == .batchEnd ? nil : (page, count, record.upperBound)
  }

  private func identify(_ facts: inout ConfidentialFacts) {
    guard flag == Self.openEulerFlag else {
      facts.dialect = .amdSEV
      return
    }
    let policy = facts.session?.policy
    if policy?.isCSV3 == true {
      facts.dialect = .hygonCSV3
    } else if isHygon {
      facts.dialect = policy?.hasEncryptedState == true ? .hygonCSV2 : .hygonCSV
    } else {
      facts.dialect = .openEulerSEV
    }
  }

  // MARK: Session and packets

  private func readSession(
    from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    let offset = input.offset
    let policy = SEVPolicy(rawValue: try input.read())
    if policy.rawValue & SEVPolicy.noSend != 0 {
      try refuse(
        MigrationError(
          .pagePermissions, "policy of the guest forbids sending it", in: .ram, at: offset,
          expected: "bit 3 clear", got: Hex.number(policy.rawValue, digits: 8)))
    }
    let certificate = try input.readLength(of: "a certificate", 1...Self.blobLimit)
    try input.skip(UInt64(certificate))
    let session = try input.readLength(of: "a session", 1...Self.blobLimit)
    try input.skip(UInt64(session))
    facts.session = .init(
      policy: policy, certificateSize: certificate, sessionSize: session, offset: offset)
  }

  /// Reads the length of a packet header.
  mutating func readHeaderSize(from input: StreamInput) throws(MigrationError) -> UInt32 {
    let allowed = headerSize.map { $0...$0 } ?? 1...Self.blobLimit
    let size = try input.readLength(of: "a packet header", allowed)
    headerSize = size
    return size
  }

  /// Reads a packet header with its length. One of another length than AMD's is passed over.
  private mutating func readPacketHeader(from input: StreamInput) throws(MigrationError) {
    let size = try readHeaderSize(from: input)
    guard Int(size) == SEVPacketHeader.size else { return try input.skip(UInt64(size)) }
    let place = input.offset
    let header = try input.readRecord(SEVPacketHeader.self)
    try header.requireZero([\.flags], at: place, refuse: refuse)
  }

  /// Reads a packet with the content of one page.
  private mutating func readPacket(from input: StreamInput) throws(MigrationError) {
    try readPacketHeader(from: input)
    let size = UInt32(Page.size)
    try input.skip(UInt64(try input.readLength(of: "an encrypted page", size...size)))
  }

  // MARK: Lists

  private mutating func readRegions(
    from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    hasRegions = true
    while try readStatus(of: "shared regions", from: input) {
      let place = input.offset
      let region = ConfidentialFacts.Region(first: try input.read(), end: try input.read())
      if region.first >= region.end {
        try refuse(
          MigrationError(
            .pageAddress, "shared region is empty", in: .ram, at: place,
            expected: "a first page before its end",
            got: "\(Hex.number(region.first)) to \(Hex.number(region.end))"))
      }
      facts.note(region)
      guard facts.regionCount <= Self.regionLimit else {
        throw MigrationError(
          .sectionLength, "too many shared regions", in: .ram, at: place,
          expected: "at most \(Self.regionLimit)")
      }
    }
  }

  private func readStatus(of what: String, from input: StreamInput) throws(MigrationError) -> Bool {
    let place = input.offset
    let status = try input.read(UInt32.self)
    guard status == SEVSharedRegion.follows || status == SEVSharedRegion.ends else {
      throw MigrationError(
        .ramData, "list of \(what) is not well formed", in: .ram, at: place, expected: "1 or 2",
        got: "\(status)")
    }
    return status == SEVSharedRegion.follows
  }

  private mutating func readCPUStates(
    from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    (hasCPUStates, isHygon) = (true, true)
    let policy = facts.session?.policy
    if policy?.isCSV3 == true { return try readContext(from: input, &facts) }
    // For a guest without encrypted CPU state the record is empty.
    guard policy?.hasEncryptedState == true else { return }
    while try readStatus(of: "CPU states", from: input) {
      try readCPUState(from: input, &facts)
    }
  }

  private mutating func readCPUState(
    from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    let place = input.offset
    let record = try input.readRecord(CSVCPUIndex.self)
    guard record.size.value == UInt32(LE32.size) else {
      throw MigrationError(
        .sectionLength, "length of a vCPU's index is not allowed", in: .ram, at: place,
        expected: "\(LE32.size)", got: "\(record.size.value)")
    }
    let index = record.index.value
    if !cpuIndexes.insert(index).inserted {
      try refuse(
        MigrationError(
          .vcpuRepeated, "CPU state is repeated", in: .ram,
          at: CSVCPUIndex.offset(of: \.index, from: place), got: "vCPU \(index)"))
    }
    guard facts.cpuStates.count < Self.cpuLimit else {
      throw MigrationError(
        .vcpuCount, "too many CPU states", in: .ram, at: place, expected: "at most \(Self.cpuLimit)"
      )
    }
    try readPacket(from: input)
    facts.cpuStates.append(
      .init(index: index, size: UInt64(Page.size), offset: place))
  }
}
