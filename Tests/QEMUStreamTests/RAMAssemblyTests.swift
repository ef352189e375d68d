import Errors
import QEMUStream
import Testing
import Threads
import Wire

/// Memory of two blocks, `pc.ram` of four pages and `pc.bios` of one.
final class MemoryStore: RAMStore {
  static let blocks = [
    RAMBlock(name: "pc.ram", length: 0x4000), RAMBlock(name: "pc.bios", length: 0x1000),
  ]

  private(set) var bytes = blocks.map { [UInt8](repeating: 0, count: Int($0.length)) }

  func write(block: Int, at offset: UInt64, _ span: Span<UInt8>) throws(MigrationError) {
    for index in span.indices { bytes[block][Int(offset) + index] = span[index] }
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    for index in buffer.indices { buffer[index] = bytes[block][Int(offset) + index] }
  }

  /// The byte each page is full of; nil for a page of several.
  func fills(_ block: Int = 0) -> [UInt8?] {
    stride(from: 0, to: bytes[block].count, by: 4096).map { start in
      let page = bytes[block][start..<start + 4096]
      return page.allSatisfy { $0 == page.first } ? page.first : nil
    }
  }
}

@Suite struct RAMAssemblyTests {
  private let store = MemoryStore()

  /// What follows the block list, record by record.
  private enum Piece {
    case page(Int, UInt8)
    case zero(Int)
    case delta(Int, [UInt8])
    case flush
    case end
  }

  private func body(_ pieces: [Piece]) -> [UInt8] {
    var bytes: [UInt8] = []
    var encoder = RAMEncoder(blocks: MemoryStore.blocks)
    encoder.appendBlockList(to: &bytes)
    for piece in pieces {
      switch piece {
      case .page(let page, let fill):
        encoder.append(
          RAMPage(block: 0, offset: UInt64(page) << 12), [UInt8](repeating: fill, count: 4096),
          to: &bytes)
      case .zero(let page):
        encoder.append(RAMPage(block: 0, offset: UInt64(page) << 12), to: &bytes)
      case .delta(let page, let delta):
        bytes.append(bigEndian: UInt64(page) << 12 | RAMFlags.xbzrle)
        bytes.append(name: "pc.ram")
        bytes += [1, UInt8(delta.count >> 8), UInt8(delta.count & 0xFF)] + delta
      case .flush: bytes.append(bigEndian: RAMFlags.multifdFlush)
      case .end: encoder.appendEnd(to: &bytes)
      }
    }
    return bytes
  }

  /// Reads all bodies of `pieces`.
  @discardableResult
  private func assemble(
    _ pieces: [Piece], channels: [MultifdChannel] = [], of configuration: Configuration? = nil,
    finishes: Bool = true, crew: WorkCrew = WorkCrew(jobs: 1)
  ) throws(MigrationError) -> RAMAssembly {
    let input = StreamInput(ArraySource(body(pieces)), capacity: 16384)
    var decoder = RAMDecoder()
    let assembly = RAMAssembly(channels: channels)
    for _ in 0...pieces.count {
      let record = try decoder.next(from: input)
      if record == .blockList {
        try assembly.begin(decoder, of: configuration, into: store, crew: crew)
      }
      try assembly.take(record, from: input, page: decoder.page)
    }
    if finishes { try assembly.finish() }
    return assembly
  }

  @Test("The last content of a page wins, also where a thread of its own writes", arguments: 1...2)
  func theLastContentOfAPageWins(jobs: Int) throws {
    let assembly = try assemble(
      [.page(0, 1), .page(1, 2), .zero(2), .page(0, 3), .page(2, 4), .zero(1), .end],
      crew: WorkCrew(jobs: jobs))
    #expect(store.fills() == [3, 0, 4, 0])
    #expect(try assembly.missingPages(of: 0) == 1)
    #expect(try assembly.firstMissing(of: 0) == 0x3000)
    #expect(try assembly.missingPages(of: 1) == 1)
  }

  @Test("Where RAM is missing after a section whose end is not known, the section is named")
  func missingPagesAreExplained() throws {
    let assembly = try assemble([.page(0, 1), .end])
    assembly.unreadable = SectionHeader(.part, id: 7, name: "spapr/htab", version: 1, offset: 99)
    let refusal = #expect(throws: MigrationError.self) { try assembly.requireWhole(0, at: 200) }
    #expect(refusal?.code == .ramMissing && refusal?.offset == 99)
    #expect(refusal?.place == .section("spapr/htab"))
  }

  /// Deltas, and the first bytes of the page they make of one full of 0x11.
  @Test(
    arguments: [
      ([0x40, 1, 0xCC], 0x40, [0xCC, 0x11]), ([0, 2, 5, 6], 0, [5, 6, 0x11]),
      ([2, 1, 7, 1, 1, 8], 2, [7, 0x11, 8, 0x11]), ([0x80, 1, 1, 9], 0x80, [9, 0x11]),
      ([0xFF, 0x1F, 1, 9], 0xFFF, [9]),
    ] as [([UInt8], Int, [UInt8])])
  func aDeltaChangesThePageThatIsThere(delta: [UInt8], place: Int, bytes: [UInt8]) throws {
    try assemble([.page(1, 0x11), .delta(1, delta), .end])
    #expect(Array(store.bytes[0][0x1000 + place..<0x1000 + place + bytes.count]) == bytes)
    #expect(store.bytes[0][0x1000..<0x2000].count { $0 != 0x11 } == bytes.count { $0 != 0x11 })
  }

  @Test func aDeltaOfAPageThatNeverCameStartsFromZero() throws {
    try assemble([.delta(3, [1, 1, 9]), .end])
    #expect(store.bytes[0][0x3001] == 9)
    #expect(store.bytes[0].count { $0 != 0 } == 1)
  }

  @Test(
    arguments: [
      [1], [1, 0], [1, 1], [0, 1, 9, 0, 1, 9], [0xFF, 0x1F, 2, 9, 9], [0x80], [0x80, 0x80, 1, 9],
      [0xFF, 0x7F, 1, 9], [0, 1, 9, 1],
    ] as [[UInt8]])
  func aDeltaThatDoesNotFitIsRefused(delta: [UInt8]) {
    let refusal = #expect(throws: MigrationError.self) {
      try assemble([.page(1, 0x11), .delta(1, delta), .end])
    }
    #expect(refusal?.code == .ramData)
  }

  @Test func discardedPagesAreMissingUntilTheyComeAgain() throws {
    let assembly = try assemble([.page(0, 1), .page(1, 2), .page(2, 3), .zero(3)], finishes: false)
    var payload: [UInt8] = [0]
    payload.append(name: "pc.ram")
    payload.append(0)
    for value: UInt64 in [0x1000, 0x3000] { payload.append(bigEndian: value) }
    try assembly.discard(StreamCommand(.postcopyRAMDiscard, payload: payload))
    #expect(try assembly.missingPages(of: 0) == 3)
    #expect(try assembly.firstMissing(of: 0) == 0x1000)
    payload[payload.count - 2] = 0x40
    let refusal = #expect(throws: MigrationError.self) {
      try assembly.discard(StreamCommand(.postcopyRAMDiscard, payload: payload))
    }
    #expect(refusal?.code == .ramOffset)
  }

  // MARK: Channels

  /// A channel of packets whose pages are full of one byte each.
  private func channel(
    _ id: UInt8, _ packets: [(pages: [(Int, UInt8)], zero: [Int], meets: Bool)]
  ) throws -> MultifdChannel {
    var bytes = SmallChannel.beginning(id)
    for packet in packets {
      bytes += SmallChannel.packet(packet.pages, zero: packet.zero, flags: packet.meets ? 1 : 0)
    }
    return try MultifdChannel(StreamInput(ArraySource(bytes), limit: 1 << 21), name: "c\(id)")
  }

  /// Page 0 comes on both channels, before and behind the place where they meet; page 1 in the main
  /// stream before and on a channel behind it.
  @Test(arguments: [false, true]) func channelsMeetWhereTheMainStreamSays(flush: Bool) throws {
    let one = try channel(
      0, [([(0, 1)], [], false), ([], [], true), ([(1, 5)], [], true), ([], [], true)])
    let two = try channel(
      1, [([], [2], true), ([(0, 9)], [], true), ([(3, 7)], [], true)])
    let meeting: [Piece] = flush ? [.flush, .end] : [.end]
    // With flushes a body may end without a meeting.
    let extra: [Piece] = flush ? [.end] : []
    try assemble(
      [.zero(1)] + meeting + extra + [.zero(0)] + meeting + meeting, channels: [two, one])
    #expect(store.fills() == [9, 5, 0, 7])
    #expect(one.packets == 4 && one.normalPages == 2 && one.zeroPages == 0)
    #expect(two.zeroPages == 1 && two.method?.name == "none")
  }

  /// Rows: what the UUIDs of the main stream, where it has one, and of two channels are full of; at
  /// which channel it is seen that they are not of one machine.
  @Test(
    arguments: [
      (nil, [0, 0], nil), (nil, [7, 7], nil), (7, [7, 7], nil), (nil, [7, 8], 1), (nil, [0, 7], 1),
      (7, [7, 8], 1), (7, [0, 0], 0), (8, [7, 7], 0),
    ] as [(UInt8?, [UInt8], Int?)])
  func channelsAreOfOneMachine(main: UInt8?, channels: [UInt8], wrong: Int?) throws {
    let channels = try channels.enumerated().map { index, machine in
      let bytes =
        SmallChannel.beginning(UInt8(index), machine: machine) + SmallChannel.packet([], flags: 1)
      return try MultifdChannel(StreamInput(ArraySource(bytes), limit: 1 << 21), name: "c\(index)")
    }
    let configuration = Configuration(
      machine: "pc", uuid: main.map { [UInt8](repeating: $0, count: 16) })
    var refusal: MigrationError?
    do throws(MigrationError) {
      try assemble([.end], channels: channels, of: configuration)
    } catch {
      refusal = error
    }
    #expect(refusal?.code == wrong.map { _ in .channelMachine })
    #expect(refusal?.place == wrong.map { .file("c\($0)") })
    #expect(refusal?.offset == wrong.map { _ in 8 })
  }

  @Test func aChannelThatEndsBeforeTheMainStreamIsRefused() throws {
    let short = try channel(0, [([(0, 1)], [], true)])
    let refusal = #expect(throws: MigrationError.self) {
      try assemble([.flush, .end, .flush, .end], channels: [short])
    }
    #expect(refusal?.code == .streamTruncated)
    #expect(refusal?.place?.name == "c0")
    #expect(refusal?.offset == 64 + 1344 + 4096)
  }
}
