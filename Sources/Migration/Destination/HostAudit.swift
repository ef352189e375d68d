internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Wire

/// What the host knows of a guest, as an audit gathers it: machine, RAM blocks, map, which shared pages
/// came.
struct HostAudit {
  var machine: String?
  var blocks: [Guest.RAMBlock] = []
  var map: GuestMap? {
    didSet { sealedBlocks = map?.sealedBlocks(of: blocks) ?? [] }
  }
  private var sealedBlocks: Set<Int> = []
  var frame: MachineFrame?
  var books = SharedPageBooks(blocks: [])
  /// Whether something of it was refused, so that the whole cannot be put together.
  var isUnknown = false

  /// Takes a private page.
  /// - Throws: `MAP-LAYOUT`.
  mutating func take(
    _ page: PageMetadata, at offset: UInt64, refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    guard let map else { return }
    guard let place = map.locate(page.gpa) else {
      return try refuse(
        MigrationError(
          .guestMap, "private page lies where no memory is mapped", at: offset + 8,
          expected: "a mapped address", got: "gpa 0x\(String(page.gpa, radix: 16))"))
    }
    guard books.notePrivate(place.block, place.offset).isSharedNow else { return }
    try refuse(Self.sharedAtPrivate(page.gpa, at: offset + 8))
  }

  /// Takes a record of shared memory.
  /// - Parameter records: which know the private pages that are present.
  /// - Throws: `MAP-SHARED-AT-PRIVATE`.
  mutating func take(
    _ page: RAMPage, at offset: UInt64, _ records: inout RecordLedger,
    refuse: MigrationError.Refusal
  ) throws(MigrationError) {
    guard page.block < blocks.count else { return }
    if let gpa = map?.gpa(block: page.block, offset: page.offset), records.isPresent(gpa) {
      try refuse(Self.sharedAtPrivate(gpa, at: offset))
    }
    if sealedBlocks.contains(page.block) {
      try refuse(
        MigrationError(
          .mapSharedAtPrivate, "shared content comes for a block that is sealed", at: offset,
          expected: "no record of it", got: "\(blocks[page.block].name)"))
    }
    _ = books.noteShared(page.block, page.offset)
  }

  /// What must hold whatever the final state says.
  /// - Parameters:
  ///   - final: final records of the stream.
  ///   - offset: of what was read last.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, `MAP-MISSING-PAGE`.
  mutating func checkAlone(_ final: FinalCounts, at offset: UInt64) throws(MigrationError) {
    guard !isUnknown, let map, let machine else { return }
    if final.services == 0, frame?.lacksSealed == true || !sealedBlocks.isEmpty {
      throw MigrationError(
        .machineSyntax, "no service carries what is sealed of the machine", in: .machine,
        expected: "a service", got: "none")
    }
    // One service may be the machine's, and none of the guest's own.
    try GuestDescription.requireLimits(
      machine: machine, ramBlocks: blocks.count, vcpus: Int(final.vcpus),
      services: max(Int(final.services), 1) - 1)
    try books.checkUnmapped(by: map, at: offset)
  }

  private static func sharedAtPrivate(_ gpa: UInt64, at offset: UInt64) -> MigrationError {
    MigrationError(
      .mapSharedAtPrivate, "shared content comes for a private page", at: offset,
      expected: "a shared page", got: "gpa 0x\(String(gpa, radix: 16))")
  }
}

extension StreamAudit {
  mutating func take(_ record: RAMRecord) throws(MigrationError) {
    if case .blockList = record {
      host.blocks = reader.guestBlocks
      host.books = SharedPageBooks(blocks: host.blocks)
    }
    guard let page = record.page else { return }
    let findings = findings
    try host.take(page, at: reader.payloadOffset, &books) { (error) throws(MigrationError) in
      try findings.note(error.within(.ram))
    }
  }

  mutating func takeDevice(_ entry: Int) throws(MigrationError) {
    guard instance != nil else { return }
    do throws(MigrationError) {
      let body = Array(copying: reader.payload)
      try host.frame?.fill(entry, body.span, from: .section)
    } catch {
      host.isUnknown = true
      try findings.note(named(error))
    }
  }

  /// Holds what a destination would restore against what the host knows, as a load does at its end;
  /// without keys, as much of that as is in the clear.
  mutating func checkHost() throws(MigrationError) {
    if isFollowed, instance == nil {
      do throws(MigrationError) {
        try host.checkAlone(books.final, at: reader.payloadOffset)
      } catch {
        try findings.note(error)
      }
    }
    guard let restored, isFollowed else { return }
    guard !host.isUnknown, let map = host.map, let machine = host.machine else {
      return findings.obstruct(
        .pageStates, .machineState, reason: "what the host says of memory or machine was refused",
        needs: "the sections of the host as they were sealed")
    }
    do throws(MigrationError) {
      _ = try GuestDescription(
        restored, machine: machine, blocks: host.blocks, map: map, frame: host.frame
      ) { _, _ in }
      findings.look(at: .machineState)
      _ = try host.books.check(
        MemoryExtents(map: map, states: restored.guest.pageStates), at: reader.payloadOffset)
      findings.look(at: .pageStates)
    } catch {
      try findings.note(error)
    }
  }
}
