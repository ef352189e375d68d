internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Wire

/// What a host knows of an incoming guest: its machine, its RAM blocks, where they are mapped, and
/// which of their pages came as shared memory. The rules about where a page may be are stated here.
///
/// A broken rule is passed to `refuse`, which throws, or reports it and lets the rest be judged
/// too.
struct HostBooks: ~Copyable {
  var machine: String?
  private(set) var blocks: [Guest.RAMBlock] = []
  private(set) var map = GuestMap()
  /// Whether the guest map has come.
  private(set) var isMapped = false
  private var sealedBlocks: Set<Int> = []
  var frame: MachineFrame?
  private var shared = SharedPageBooks(blocks: [])

  /// Takes the list of RAM blocks.
  mutating func take(_ blocks: [Guest.RAMBlock]) {
    self.blocks = blocks
    shared = SharedPageBooks(blocks: blocks)
  }

  /// Takes the map of the blocks.
  mutating func take(_ map: GuestMap) {
    (self.map, isMapped) = (map, true)
    sealedBlocks = map.sealedBlocks(of: blocks)
  }

  /// The guest-physical address of a page in a RAM block; nil when it is not mapped.
  func address(of page: RAMPage) -> UInt64? { map.gpa(block: page.block, offset: page.offset) }

  /// Begins the next epoch, after an epoch that is not the last was closed.
  mutating func beginEpoch() { shared.beginEpoch() }

  /// For each block: the pages that hold shared content, as ranges of offsets; nil when there are
  /// more than `limit` ranges.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ` for the temporary file of a page set.
  mutating func sharedRanges(limit: Int) throws(MigrationError) -> [[Range<UInt64>]]? {
    try shared.present(limit: limit)
  }

  /// Accepts a private page.
  /// - Returns: where the page is, and whether any record came for it before; nil when it is not
  ///   mapped.
  /// - Throws: `MAP-LAYOUT`, `MAP-SHARED-AT-PRIVATE`.
  mutating func take(
    _ page: PageMetadata, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) -> (block: Int, offset: UInt64, wasTouched: Bool)? {
    guard isMapped else { return nil }
    func field() -> UInt64 { PageMetadata.Layout.offset(of: \.metadata.gpa, from: offset) }
    guard let place = map.locate(page.gpa) else {
      try refuse(
        MigrationError(
          .guestMap, "private page is at an address without mapped memory", at: field(),
          expected: "a mapped address", got: "gpa \(Hex.number(page.gpa))"))
      return nil
    }
    let known = try shared.notePrivate(place.block, place.offset)
    if known.isSharedNow { try refuse(Self.sharedAtPrivate(page.gpa, at: field())) }
    return (place.block, place.offset, known.wasTouched)
  }

  /// Accepts a page of shared memory.
  /// - Parameter gpa: its guest-physical address if a private page is present there, else nil.
  /// - Returns: whether any record came for the page before.
  /// - Throws: `MAP-SHARED-AT-PRIVATE`.
  mutating func take(
    _ page: RAMPage, privateAt gpa: UInt64?, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) -> Bool {
    guard page.block < blocks.count else { return false }
    if let gpa { try refuse(Self.sharedAtPrivate(gpa, at: offset)) }
    if sealedBlocks.contains(page.block) {
      try refuse(
        MigrationError(
          .mapSharedAtPrivate, "record of shared memory is for a sealed RAM block", at: offset,
          expected: "no record of this block", got: "\(blocks[page.block].name)"))
    }
    return try shared.noteShared(page.block, page.offset)
  }

  private static func sharedAtPrivate(_ gpa: UInt64, at offset: UInt64) -> MigrationError {
    MigrationError(
      .mapSharedAtPrivate, "record of shared memory is for a private page", at: offset,
      expected: "a shared page", got: "gpa \(Hex.number(gpa))")
  }

  /// Locates the secrets page.
  /// - Returns: nil when it is not mapped, or no map has come.
  /// - Throws: `SECRETS-PAGE`.
  func locate(
    secretsPage gpa: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) -> (block: Int, offset: UInt64)? {
    guard isMapped else { return nil }
    if let place = map.locate(gpa) { return (place.block, place.offset) }
    try refuse(
      MigrationError(
        .secretsPage, "secrets page is at an address without mapped memory", in: .commit,
        expected: "a mapped address", got: "gpa \(Hex.number(gpa))"))
    return nil
  }

  /// The guest that `restored` and the host's own knowledge describe together.
  /// - Parameter placeBlock: called with the number and the content of each RAM block that the SVSM
  ///   carried.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, and what `GuestDescription.validate` refuses.
  func describe(
    _ restored: RestoredState, placeBlock: (Int, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) -> GuestDescription {
    try GuestDescription(
      restored, machine: machine ?? "", blocks: blocks, map: map, frame: frame,
      placeBlock: placeBlock)
  }

  /// Compares the pages that came as shared memory with the trusted page states.
  /// - Parameter placeZero: called with each page that holds content of an older epoch and must be
  ///   zero.
  /// - Returns: number of shared pages.
  /// - Throws: `MAP-SHARED-AT-PRIVATE`, `MAP-MISSING-PAGE`.
  mutating func finish(
    _ restored: RestoredState, at offset: UInt64,
    placeZero: (BlockExtent) throws(MigrationError) -> Void
  ) throws(MigrationError) -> UInt64 {
    let extents = MemoryExtents(map: map, states: restored.guest.pageStates)
    let pages = try shared.check(extents, at: offset)
    try shared.leftovers(extents, placeZero)
    return pages
  }

  /// Checks what must hold whatever the final state contains.
  /// - Parameters:
  ///   - final: counts of the final records in the stream.
  ///   - offset: offset in the stream of what was read last.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, `MAP-MISSING-PAGE`.
  mutating func checkAlone(_ final: FinalCounts, at offset: UInt64) throws(MigrationError) {
    guard isMapped, let machine else { return }
    if final[.service] == 0, frame?.lacksSealed == true || !sealedBlocks.isEmpty {
      throw MigrationError(
        .machineSyntax, "service with the sealed state of the machine is missing", in: .machine,
        expected: "a service", got: "none")
    }
    // One of the services may be the machine's, which is not one of the guest's own.
    try GuestDescription.requireLimits(
      machine: machine, ramBlocks: blocks.count, vcpus: Int(final[.vcpu]),
      services: max(Int(final[.service]), 1) - 1)
    try shared.checkUnmapped(by: map, at: offset)
  }
}
