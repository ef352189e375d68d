internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Wire

/// What a host knows of a guest that comes in: its machine, its RAM blocks, where they lie, which of their
/// pages came as shared memory. The rules of where a page may lie are stated here.
///
/// A broken rule goes to `refuse`, which throws, or notes it so that the rest is judged too.
struct HostBooks {
  var machine: String?
  private(set) var blocks: [Guest.RAMBlock] = []
  private(set) var map = GuestMap()
  /// Whether the map has come.
  private(set) var isMapped = false
  private var sealedBlocks: Set<Int> = []
  var frame: MachineFrame?
  private(set) var shared = SharedPageBooks(blocks: [])

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

  /// The address of a page of shared memory; nil when none is mapped there.
  func address(of page: RAMPage) -> UInt64? { map.gpa(block: page.block, offset: page.offset) }

  /// An epoch was closed, which was not the last.
  mutating func beginEpoch() { shared.beginEpoch() }

  /// Takes a private page.
  /// - Returns: where it lies, and whether anything came for it before; nil when it lies nowhere.
  /// - Throws: `MAP-LAYOUT`, `MAP-SHARED-AT-PRIVATE`.
  mutating func take(
    _ page: PageMetadata, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) -> (block: Int, offset: UInt64, wasTouched: Bool)? {
    guard isMapped else { return nil }
    func field() -> UInt64 { PageMetadata.Layout.offset(of: \.metadata.gpa, from: offset) }
    guard let place = map.locate(page.gpa) else {
      try refuse(
        MigrationError(
          .guestMap, "private page lies where no memory is mapped", at: field(),
          expected: "a mapped address", got: "gpa \(Hex.number(page.gpa))"))
      return nil
    }
    let known = shared.notePrivate(place.block, place.offset)
    if known.isSharedNow { try refuse(Self.sharedAtPrivate(page.gpa, at: field())) }
    return (place.block, place.offset, known.wasTouched)
  }

  /// Takes a page of shared memory.
  /// - Parameter gpa: its address, if a private page is present there.
  /// - Returns: whether anything came for it before.
  /// - Throws: `MAP-SHARED-AT-PRIVATE`.
  mutating func take(
    _ page: RAMPage, privateAt gpa: UInt64?, at offset: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) -> Bool {
    guard page.block < blocks.count else { return false }
    if let gpa { try refuse(Self.sharedAtPrivate(gpa, at: offset)) }
    if sealedBlocks.contains(page.block) {
      try refuse(
        MigrationError(
          .mapSharedAtPrivate, "shared content comes for a block that is sealed", at: offset,
          expected: "no record of it", got: "\(blocks[page.block].name)"))
    }
    return shared.noteShared(page.block, page.offset)
  }

  private static func sharedAtPrivate(_ gpa: UInt64, at offset: UInt64) -> MigrationError {
    MigrationError(
      .mapSharedAtPrivate, "shared content comes for a private page", at: offset,
      expected: "a shared page", got: "gpa \(Hex.number(gpa))")
  }

  /// Where the secrets page lies.
  /// - Returns: nil when it lies nowhere, or no map has come.
  /// - Throws: `SECRETS-PAGE`.
  func locate(
    secretsPage gpa: UInt64, _ refuse: MigrationError.Refusal
  ) throws(MigrationError) -> (block: Int, offset: UInt64)? {
    guard isMapped else { return nil }
    if let place = map.locate(gpa) { return (place.block, place.offset) }
    try refuse(
      MigrationError(
        .secretsPage, "secrets page lies where no memory is mapped", in: .commit,
        expected: "a mapped address", got: "gpa \(Hex.number(gpa))"))
    return nil
  }

  /// The guest that `restored` and the host's own knowledge make.
  /// - Parameter placeBlock: takes the number and the content of a RAM block that the SVSM carried.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, and what `GuestDescription.validate` refuses.
  func describe(
    _ restored: RestoredState, placeBlock: (Int, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) -> GuestDescription {
    try GuestDescription(
      restored, machine: machine ?? "", blocks: blocks, map: map, frame: frame,
      placeBlock: placeBlock)
  }

  /// Holds the pages that came as shared memory against the trusted page states.
  /// - Parameter placeZero: takes each page that is left of an older epoch and is to be zero.
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

  /// What must hold whatever the final state says.
  /// - Parameters:
  ///   - final: final records of the stream.
  ///   - offset: of what was read last.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, `MAP-MISSING-PAGE`.
  mutating func checkAlone(_ final: FinalCounts, at offset: UInt64) throws(MigrationError) {
    guard isMapped, let machine else { return }
    if final[.service] == 0, frame?.lacksSealed == true || !sealedBlocks.isEmpty {
      throw MigrationError(
        .machineSyntax, "no service carries what is sealed of the machine", in: .machine,
        expected: "a service", got: "none")
    }
    // One service may be the machine's, and none of the guest's own.
    try GuestDescription.requireLimits(
      machine: machine, ramBlocks: blocks.count, vcpus: Int(final[.vcpu]),
      services: max(Int(final[.service]), 1) - 1)
    try shared.checkUnmapped(by: map, at: offset)
  }
}
