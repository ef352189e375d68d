internal import Bytes
internal import Guest
internal import QEMUStream
internal import SEVSNP
internal import SVSM

extension GuestDescription {
  /// The guest that comes out of a migration: what its SVSM restored, together with what the host knows.
  /// - Parameters:
  ///   - frame: what the VMM keeps of the machine; nil when the stream has nothing of it.
  ///   - placeBlock: takes the number and the content of a RAM block that the SVSM carried.
  /// - Throws: `MACHINE-SYNTAX`, `GUEST-SHAPE`, and what `validate` refuses.
  init(
    _ restored: RestoredState, machine: String, blocks: [Guest.RAMBlock], map: GuestMap,
    frame: MachineFrame?, placeBlock: (Int, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    var attributes = GPARangeSet()
    for run in restored.guest.pageStates.runs where run.state.isPrivate {
      attributes.insert(try GPARange(start: run.gpa, end: run.end))
    }
    self.init(
      machine: machine, ramBlocks: blocks, map: map, attributes: attributes,
      pageStates: restored.guest.pageStates, vcpus: restored.guest.vcpus,
      services: restored.guest.services.filter { $0.kind != .machine })
    machineState = try Self.machineState(
      restored, frame, blocks, missing: map.sealedBlocks(of: blocks), placeBlock)
    try validate()
  }

  /// Puts in place what the SVSM carried of the machine.
  /// - Parameter missing: RAM blocks that the SVSM must have carried.
  /// - Returns: what the VMM keeps of the machine, whole; nil when none came.
  /// - Throws: `MACHINE-SYNTAX` when it is not just what is missing.
  private static func machineState(
    _ restored: RestoredState, _ frame: MachineFrame?, _ blocks: [Guest.RAMBlock],
    missing: Set<Int>, _ placeBlock: (Int, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) -> [UInt8]? {
    func refusal(_ what: String, _ expected: String, _ got: String) -> MigrationError {
      MigrationError(.machineSyntax, what, section: "snp-machine", expected: expected, got: got)
    }
    let blob = restored.guest.services.first { $0.kind == .machine }?.blob
    var frame = frame
    var missing = missing
    for (owner, content) in try SealedMachine(blob ?? []).pieces {
      switch owner {
      case .entry(let index):
        guard frame != nil else {
          throw refusal(
            "SVSM carried sections of a machine that did not come", "a section snp-machine",
            "entry \(index) alone")
        }
        try frame?.fill(index, content.span, from: .sealed)
      case .block(let block):
        guard missing.remove(block) != nil, content.count == blocks[block].size else {
          throw refusal(
            "SVSM carried what is no sealed RAM block", "each sealed block once, whole",
            "block \(block), \(content.count) bytes")
        }
        try placeBlock(block, content)
      }
    }
    if let block = missing.min() {
      throw refusal("a sealed RAM block never came", "\(blocks[block].name)", "nothing")
    }
    return try frame?.whole().encoded
  }
}
