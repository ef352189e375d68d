import Guest
import Migration
import MigrationSupport
import SEVSNP
import TestSupport
import Testing

/// Guests whose RAM blocks lie in guest-physical memory in another order than in the list of blocks.
@Suite struct MemoryOrderTests {
  private static let page: UInt64 = 4096
  /// Blocks of 8, 6 and 2 pages. The last is mapped nowhere, as are the last two pages of the first.
  private static let sizes: [UInt64] = [8, 6, 2]

  /// - Parameters:
  ///   - states: of the twelve mapped pages, by ascending address.
  ///   - byte: what fills the pages, together with their number.
  private func guest(_ states: [PageState], _ byte: UInt8) throws -> GuestReader {
    let (page, sizes) = (Self.page, Self.sizes.map { $0 * Self.page })
    let blocks = try zip(["pc.ram", "mem1", "rom"], sizes).map { try RAMBlock(name: $0, size: $1) }
    let ranges = [
      MappedRange(block: 1, offset: 3 * page, gpa: 0, size: 3 * page),
      MappedRange(block: 0, offset: 2 * page, gpa: 3 * page, size: 4 * page),
      MappedRange(block: 1, offset: 0, gpa: 16 * page, size: 3 * page),
      MappedRange(block: 0, offset: 0, gpa: 19 * page, size: 2 * page),
    ]
    var (runs, next): ([PageRun], Int) = ([], 0)
    for range in ranges {
      for gpa in stride(from: range.gpa, to: range.end, by: Int(page)) {
        let state = states[next]
        runs.append(
          PageRun(
            gpa: gpa, pages: 1, state: state,
            permissions: state == .validated ? .guestDefault : .none))
        next += 1
      }
    }
    let pageStates = try PageStateMap(joining: runs)
    let memory = try TemporaryMemory(blockSizes: sizes)
    for (block, size) in sizes.enumerated() {
      for offset in stride(from: 0, to: size, by: Int(page)) {
        let fill = byte &+ UInt8(block) * 16 &+ UInt8(offset / page)
        try memory.write(block: block, at: offset, [UInt8](repeating: fill, count: Int(page)).span)
      }
    }
    return try memory.guest(
      GuestDescription(
        machine: "pc-q35-10.0", ramBlocks: blocks, map: GuestMap(ranges, blocks: blocks),
        attributes: pageStates.privateAddresses, pageStates: pageStates,
        vcpus: [GuestReader.resetVCPU()], services: []))
  }

  private static let first: [PageState] = [
    .shared, .validated, .validated, .validated, .shared, .shared, .unaccepted, .validated, .shared,
    .validated, .validated, .shared,
  ]
  private static let second: [PageState] = [
    .validated, .validated, .shared, .unaccepted, .shared, .validated, .validated, .shared,
    .unaccepted, .validated, .shared, .validated,
  ]

  @Test("every page arrives at its place, in one epoch or in two", arguments: [1, 2])
  func everyPageArrives(epochs: Int) throws {
    let scratch = try Scratch()
    let destination = try Lab.instance(1)
    let guests = [try guest(Self.first, 1), try guest(Self.second, 101)].prefix(epochs)
    let last = try #require(guests.last)
    let stream = try Lab.save(guests[0], rounds: Array(guests.dropFirst()), to: destination)
    let summary = try Lab.load(stream, for: destination, to: scratch["out"])
    #expect(summary.guest.pageStates == last.description.pageStates)
    #expect(summary.guest.attributes == last.description.attributes)
    for (block, size) in last.description.ramBlocks.map(\.size).enumerated() {
      var expected = [UInt8](repeating: 0, count: Int(size))
      var span = expected.mutableSpan
      try last.read(block: block, at: 0, into: &span)
      // An unaccepted page has no content.
      for offset in stride(from: 0, to: size, by: Int(Self.page)) {
        guard let gpa = last.description.map.gpa(block: block, offset: offset),
          last.description.pageStates.run(at: gpa)?.state == .unaccepted
        else { continue }
        for byte in Int(offset)..<Int(offset + Self.page) { expected[byte] = 0 }
      }
      #expect(try scratch.read("out/ram-\(block).bin") == expected, "block \(block)")
    }
  }
}
