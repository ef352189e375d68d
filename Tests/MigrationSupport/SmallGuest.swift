package import Guest
package import SEVSNP

/// A guest of few pages, each of which is said.
package enum SmallGuest {
  /// - Parameter pages: state of each page, and the byte that fills it.
  package static func make(_ pages: [(state: PageState, byte: UInt8)]) throws -> GuestReader {
    let size = UInt64(pages.count * 4096)
    let block = try RAMBlock(name: "pc.ram", size: size)
    let memory = try TemporaryMemory(blockSizes: [size])
    var runs: [PageRun] = []
    var isPrivate = GPARangeSet()
    for (index, page) in pages.enumerated() {
      let gpa = UInt64(index * 4096)
      runs.append(
        PageRun(
          gpa: gpa, pages: 1, state: page.state,
          permissions: page.state == .validated ? .guestDefault : .none))
      if page.state.isPrivate { isPrivate.insert(try GPARange(start: gpa, end: gpa + 4096)) }
      let bytes = [UInt8](repeating: page.byte, count: 4096)
      try memory.write(block: 0, at: gpa, bytes.span)
    }
    return try memory.guest(
      GuestDescription(
        machine: "pc-q35-10.0", ramBlocks: [block],
        map: GuestMap([MappedRange(block: 0, offset: 0, gpa: 0, size: size)], blocks: [block]),
        attributes: isPrivate, pageStates: PageStateMap(joining: runs),
        vcpus: [GuestReader.resetVCPU()], services: []))
  }

  /// All memory of a guest's first block.
  package static func memory(of guest: GuestReader) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(guest.description.ramBlocks[0].size))
    var span = bytes.mutableSpan
    try guest.read(block: 0, at: 0, into: &span)
    return bytes
  }
}
