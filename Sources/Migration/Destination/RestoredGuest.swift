package import Errors
internal import Guest
package import QEMUStream
package import SEVSNP
internal import SVSM

extension GuestDescription {
  /// The guest that results from a migration: what its SVSM restored, together with what the host
  /// knows.
  /// - Parameters:
  ///   - frame: the VMM's part of the machine state; nil when the stream has none.
  ///   - placeBlock: called with the number and the content of each RAM block that the SVSM
  ///     carried.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, and what `validate` refuses.
  init(
    _ restored: RestoredState, machine: String, blocks: [Guest.RAMBlock], map: GuestMap,
    frame: MachineFrame?, placeBlock: (Int, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    self.init(
      machine: machine, ramBlocks: blocks, map: map,
      attributes: restored.guest.pageStates.privateAddresses,
      pageStates: restored.guest.pageStates, vcpus: restored.guest.vcpus,
      services: restored.guest.services.filter { $0.kind != .machine })
    let state = try Self.machineState(
      restored, frame, blocks, missing: map.sealedBlocks(of: blocks), placeBlock)
    try state?.requireRegisters(of: vcpus)
    machineState = state?.encoded
    try validate()
  }

  /// Inserts what the SVSM carried of the machine.
  /// - Parameter missing: RAM blocks that the SVSM must have carried.
  /// - Returns: the complete machine state of the VMM; nil when none came.
  /// - Throws: `MACHINE-SYNTAX` when the pieces are not exactly those that are missing.
  private static func machineState(
    _ restored: RestoredState, _ frame: MachineFrame?, _ blocks: [Guest.RAMBlock],
    missing: Set<Int>, _ placeBlock: (Int, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) -> MachineState? {
    func refusal(_ what: String, _ expected: String, _ got: String) -> MigrationError {
      MigrationError(.machineSyntax, what, in: .machine, expected: expected, got: got)
    }
    let pieces = try pieces(of: restored.guest.services)
    var frame = frame
    var missing = missing
    for piece in pieces {
      switch piece.owner {
      case .entry(let index):
        guard frame != nil else {
          throw refusal(
            "SVSM has sections of a machine that is not in the stream", "a section snp-machine",
            "entry \(index) alone")
        }
        try frame?.fill(index, piece)
      case .block(let block):
        guard missing.remove(block) != nil, piece.content.count == blocks[block].size,
          piece.identity == .init(blocks[block])
        else {
          throw refusal(
            "SVSM has an entry that is not a sealed RAM block",
            "each sealed block once, whole, by its name",
            "block \(block), \(piece.content.count) bytes")
        }
        try placeBlock(block, piece.content)
      }
    }
    if let block = missing.min() {
      throw refusal("a sealed RAM block is missing", "\(blocks[block].name)", "nothing")
    }
    return try frame?.whole()
  }

  /// The pieces of the machine that the SVSM carried; empty when the guest has no machine service.
  /// - Throws: `SERVICE-UNKNOWN` for an unknown version of their list; `SERVICE-SYNTAX` for a
  ///   service that no source of this project makes; `MACHINE-SYNTAX`.
  fileprivate static func pieces(
    of services: [ServiceState]
  ) throws(MigrationError) -> [SealedMachine.Piece] {
    guard let service = services.first(where: { $0.kind == .machine }) else { return [] }
    guard service.version == SealedMachine.version else {
      throw MigrationError(
        .serviceUnknown, "version of the SVSM's state of the machine is unknown",
        expected: "\(SealedMachine.version)", got: "\(service.version)")
    }
    guard service.isMandatory, service.generation == 1, !service.blob.isEmpty else {
      throw MigrationError(
        .serviceSyntax, "form of the SVSM's state of the machine is not valid",
        expected: "mandatory, generation 1, with content", got: "generation \(service.generation)")
    }
    return try SealedMachine(service.blob).pieces
  }
}

extension MachineState {
  /// The sections whose bodies the SVSM carried, with these bodies.
  /// - Parameter services: what it restored.
  /// - Throws: `SERVICE-UNKNOWN`, `SERVICE-SYNTAX`, `MACHINE-SYNTAX`.
  package func opened(
    by services: [ServiceState]
  ) throws(MigrationError) -> [(header: SectionHeader, body: [UInt8])] {
    try GuestDescription.pieces(of: services).compactMap { piece in
      guard case .entry(let index) = piece.owner, entries.indices.contains(index),
        case .section(let header, _) = entries[index]
      else { return nil }
      return (header, piece.content)
    }
  }
}
