package import Errors
package import Guest
internal import PageSets
package import QEMUStream
internal import SEVSNP
package import SVSM
package import Threads
package import Wire

/// The source side of the migration of a guest that runs: it takes each page as the guest's VMM sends
/// it, and sends it on at once.
///
/// A page that comes a second time begins the next epoch, since no page comes twice in one. What
/// the VMM sends of the paused guest is an epoch of its own, the last. Private pages are packaged in
/// the order in which they come, and shared pages are collected into parts beside them, so an epoch
/// has both in any order. That order depends on the input alone, not on the number of threads.
package struct LiveSource: ~Copyable {
  private let crew: WorkCrew
  private let guest: GuestDescription
  private var stream: SourceStream
  /// The memory of the guest, where the SVSM reads it itself.
  private let memory: BlockFiles?
  private var samples = MemorySamples()
  private var places: PrivatePlaces
  /// The pages that have come, and those of them that came in this epoch.
  private var came = PageTracker()
  private let underWay: InFlight<PrivateBatch>
  /// The batch to which the next private page is added, if it follows.
  private var open: (batch: PrivateBatch, gpa: UInt64)?
  private var shared: RAMPart
  private var isPaused = false
  /// Epochs so far.
  package private(set) var rounds = LiveRounds()
  private var roundStart: UInt64 = 0
  /// How long the comparison of the memory with what was exported took; nil where it was not made.
  package private(set) var comparison: Duration?

  /// - Parameters:
  ///   - guest: the guest; its vCPUs are not known yet.
  ///   - svsm: the guest's SVSM, with its session begun for a guest that runs.
  ///   - output: receives the stream.
  ///   - memory: the memory of the RAM blocks in which private pages lie, for an SVSM that reads it
  ///     itself; nil when it takes what the VMM sends.
  /// - Throws: `RAM-BLOCK` when a block's name is not valid as a section name.
  package init(
    _ guest: GuestDescription, svsm: consuming SourceSVSM, output: any ByteOutput,
    memory: BlockFiles?, crew: WorkCrew
  ) throws(MigrationError) {
    stream = try SourceStream(guest, svsm: svsm, output: output, crew: crew)
    (self.guest, self.memory, self.crew) = (guest, memory, crew)
    let extents = MemoryExtents(map: guest.map, states: guest.pageStates)
    places = PrivatePlaces(extents)
    underWay = InFlight(for: crew)
    shared = RAMPart(stream.ram, id: SNPSection.ram.id)
  }

  /// Sends the header, the session and the maps.
  package mutating func begin() throws(MigrationError) {
    try stream.svsm.validateAttributes(guest.attributes.addresses)
    try stream.sendTransferData()
    try stream.output.flush()
  }

  /// Whether the content of a page is taken from memory, so that what the VMM sends is not needed.
  package mutating func readsItself(_ page: RAMPage) -> Bool {
    memory != nil && places.extent(of: page.block, page.offset) != nil
  }

  /// Whether a page came before.
  package mutating func hasCome(_ page: RAMPage) throws(MigrationError) -> Bool {
    try came.bits(of: page.offset / Page.size64, of: page.block).isPresent
  }

  /// Sends a page.
  /// - Parameter content: 4096 bytes; nil for a page of zeros, and for one that is read from memory and whose
  ///   content the VMM did not send whole.
  /// - Throws: the errors of the SVSM; `IO-WRITE`.
  package mutating func send(
    _ page: RAMPage, _ content: Span<UInt8>?
  ) throws(MigrationError) {
    let number = page.offset / Page.size64
    let known = try came.note(number, of: page.block, isPresent: true)
    if known.isCurrent {
      try beginEpoch()
      try came.note(number, of: page.block, isPresent: true)
    }
    if known.isPresent { rounds.open.again += 1 }
    if let extent = places.extent(of: page.block, page.offset) {
      rounds.open.privatePages += 1
      return try add(page, extent, content)
    }
    if shared.isFull { try sendShared() }
    if shared.append(page, content) {
      rounds.open.zeroPages += 1
    } else {
      rounds.open.sharedPages += 1
    }
  }

  /// Sends everything that was collected: no more comes for a while.
  /// - Throws: the errors of the SVSM; `IO-WRITE`.
  package mutating func flush() throws(MigrationError) {
    try sendShared()
    try stream.output.flush()
  }

  /// The guest is paused: what comes from now on is its memory as it stays.
  package mutating func pause() throws(MigrationError) {
    guard !isPaused else { return }
    isPaused = true
    if rounds.open.pages > 0 { try beginEpoch() }
  }

  /// Sends all that is left, except for the commit. The output has taken all of it.
  /// - Parameter paused: the guest as it stays. Of its memory only the blocks that the SVSM carries are
  ///   read.
  /// - Throws: `RAM-MISSING` for a shared page that never came; `PAGE-STALE`; the errors of the SVSM;
  ///   `IO-READ`, `IO-WRITE`.
  package mutating func finish(_ paused: GuestReader) throws(MigrationError) {
    try sendShared()
    try requireShared()
    try stream.svsm.pause(with: paused.trustedState())
    let extents = MemoryExtents(map: guest.map, states: guest.pageStates)
    if let memory, !places.isEmpty {
      try samples.requireSame()
      let clock = ContinuousClock()
      let start = clock.now
      try stream.checkPages(
        extents.extents(where: { $0 == .validated }), in: memory, crew: crew)
      comparison = clock.now - start
    }
    try stream.closeEpoch(isLast: true)
    noteBytes()
    try stream.sendMachineState(paused.machine())
    try stream.sendFinalState(secretsPage: nil)
    try stream.output.flush()
  }

  /// Hands the guest over, after `finish`.
  package mutating func commit() throws(MigrationError) -> SaveSummary {
    stream.summary.sharedPages += rounds.total.sharedPages
    stream.summary.zeroPages += rounds.total.zeroPages
    return try stream.commit()
  }

  // MARK: Pages

  private mutating func add(
    _ page: RAMPage, _ extent: GuestExtent, _ content: Span<UInt8>?
  ) throws(MigrationError) {
    let gpa = extent.gpa + (page.offset - extent.place.offset)
    if let (batch, first) = open,
      batch.pages == pagesPerBatch || first + batch.place.size != gpa
        || batch.place.end != page.offset || batch.place.block != page.block
        || batch.place.offset < extent.place.offset
    {
      try submitOpen()
    }
    if open == nil {
      if underWay.isFull { try finishOldest() }
      let batch =
        if let free = underWay.takeFree() { free } else {
          try stream.makePrivateBatch(from: memory)
        }
      batch.content = memory == nil ? .held : .memory
      batch.place = BlockExtent(block: page.block, offset: page.offset, size: 0)
      open = (batch, gpa)
      if let memory, let content { try samples.compare(page, content, with: memory) }
    }
    guard let (batch, _) = open else { return }
    let start = Int(batch.place.size)
    batch.place.size += Page.size64
    guard memory == nil else { return }
    let plaintext = batch.plaintext
    guard let content else { return plaintext.zero(start..<start + Page.size) }
    var target = plaintext.mutableSpan(start..<start + Page.size)
    target.copy(content, to: 0)
  }

  private mutating func submitOpen() throws(MigrationError) {
    guard let (batch, gpa) = open else { return }
    open = nil
    try stream.begin(batch, at: gpa)
    underWay.submit(batch, to: crew)
  }

  private mutating func finishOldest() throws(MigrationError) {
    guard let batch = underWay.finishOldest(with: crew) else { return }
    try stream.finish(batch)
    underWay.recycle(batch)
  }

  private mutating func sendPrivate() throws(MigrationError) {
    try submitOpen()
    while !underWay.isEmpty { try finishOldest() }
  }

  /// Sends the shared pages that were collected, after all private pages that came before.
  private mutating func sendShared() throws(MigrationError) {
    try sendPrivate()
    let output = stream.output
    try shared.send { (bytes) throws(MigrationError) in try output.append(bytes) }
  }

  // MARK: Epochs

  private mutating func beginEpoch() throws(MigrationError) {
    try sendShared()
    try stream.closeEpoch(isLast: false)
    try stream.svsm.beginEpoch()
    noteBytes()
    rounds.close()
    came.beginRound()
  }

  private mutating func noteBytes() {
    rounds.open.bytes = stream.output.offset - roundStart
    roundStart = stream.output.offset
  }

  private mutating func requireShared() throws(MigrationError) {
    let extents = MemoryExtents(map: guest.map, states: guest.pageStates)
    for extent in extents.shared(guest.ramBlocks) {
      let pages = extent.offset / Page.size64..<extent.end / Page.size64
      if let page = try came.firstMissing(in: pages, of: extent.block) {
        throw MigrationError(
          .ramMissing, "a shared page never came", in: .ram,
          got: "\(guest.ramBlocks[extent.block].name) offset \(Hex.number(page * Page.size64))")
      }
    }
  }
}
