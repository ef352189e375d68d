import Errors
import QEMUStream
import Testing
import Wire

/// Captures of multifd channels, small enough to write down.
enum SmallChannel {
  /// - Parameter machine: what its UUID is full of.
  static func beginning(_ id: UInt8, machine: UInt8 = 0) -> [UInt8] {
    [0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1] + [UInt8](repeating: machine, count: 16) + [id]
      + [UInt8](repeating: 0, count: 39)
  }

  /// A packet for `pc.ram`.
  static func packet(
    _ pages: [(Int, UInt8)], zero: [Int] = [], flags: UInt32 = 0, payload: [UInt8]? = nil
  ) -> [UInt8] {
    let content = payload ?? pages.flatMap { [UInt8](repeating: $0.1, count: 4096) }
    var bytes: [UInt8] = []
    for value: UInt32 in [0x1122_3344, 1, flags, 128, UInt32(pages.count)] {
      bytes.append(bigEndian: value)
    }
    // QEMU 7.2 leaves an old length in a packet without content.
    bytes.append(bigEndian: pages.isEmpty ? 0x5000 : UInt32(content.count))
    bytes.append(bigEndian: UInt64(7))
    bytes.append(bigEndian: UInt32(zero.count))
    bytes += [UInt8](repeating: 0, count: 28)
    bytes += Array("pc.ram".utf8) + [UInt8](repeating: 0, count: 250)
    let offsets = (pages.map(\.0) + zero).map { UInt64($0) << 12 }
    for offset in offsets { bytes.append(bigEndian: offset) }
    bytes += [UInt8](repeating: 0, count: 1024 - 8 * offsets.count)
    return bytes + content
  }
}

@Suite struct MultifdChannelTests {
  /// Reads a whole channel beside a main stream that ends at once.
  private func read(
    _ bytes: [UInt8], stores: Bool = true
  ) throws(MigrationError) -> (MultifdChannel, MemoryStore) {
    let channel = try MultifdChannel(
      StreamInput(ArraySource(bytes, pieceSize: 1000), limit: 1 << 21), name: "c")
    var list: [UInt8] = []
    RAMEncoder(blocks: MemoryStore.blocks).appendBlockList(to: &list)
    var decoder = RAMDecoder()
    _ = try decoder.next(from: StreamInput(ArraySource(list), capacity: 4096))
    let store = MemoryStore()
    let assembly = RAMAssembly(channels: [channel])
    try assembly.begin(decoder, of: nil, into: stores ? store : nil)
    try assembly.finish()
    return (channel, store)
  }

  private let start = SmallChannel.beginning(3)

  @Test func packetsGiveTheirPages() throws {
    let (channel, store) = try read(
      start + SmallChannel.packet([(2, 8), (0, 9)], zero: [1], flags: 1)
        + SmallChannel.packet([], flags: 1) + SmallChannel.packet([(1, 4)]))
    #expect(store.fills() == [9, 4, 8, 0])
    #expect(channel.id == 3 && channel.packets == 3)
  }

  /// What the second connection of a postcopy-preempt migration holds: nothing but the end, or pages.
  @Test(
    arguments: [
      [0, 0, 0, 0, 0, 0, 0, 0x10], [0, 0, 0, 0, 0, 0, 0x20, 0x08, 6, 0x70],
      [0, 0, 0, 0, 0, 0x10, 0, 0x02, 6],
    ] as [[UInt8]])
  func aChannelOfPostcopyPreemptIsNamed(bytes: [UInt8]) {
    let refusal = #expect(throws: MigrationError.self) { try read(bytes) }
    #expect(refusal?.code == .channelSyntax)
    #expect(refusal.map { "\($0)".contains("postcopy-preempt") } == true)
  }

  /// Tables of lengths that do not fit their pages, and gzip members that do not.
  @Test(
    arguments: [
      (8, [0, 0, 0x10, 0]), (8, [0, 0, 0x10, 1] + [UInt8](repeating: 1, count: 4097)),
      (8, [0, 0, 0, 0]), (8, [0, 0, 0]), (8, [0xFF, 0xFF, 0xFF, 0xFF]), (16, [0, 0, 0, 1, 0x78]),
      (8, [0, 0, 0x10, 0] + [UInt8](repeating: 1, count: 4097)), (32, []),
      (32, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] as [(UInt32, [UInt8])])
  func aPayloadThatGivesNoPageIsRefused(flags: UInt32, payload: [UInt8]) {
    for stores in [false, true] {
      let refusal = #expect(throws: MigrationError.self) {
        try read(
          start + SmallChannel.packet([(0, 1)], flags: flags, payload: payload), stores: stores)
      }
      #expect(refusal?.code == .channelData)
    }
  }

  /// A page of a length of its own is not packed, whatever the method.
  @Test(arguments: [8, 16] as [UInt32])
  func aRawPageStaysAsItIs(flags: UInt32) throws {
    let payload = [0, 0, 0x10, 0] + [UInt8](repeating: 9, count: 4096)
    let (_, store) = try read(
      start + SmallChannel.packet([(2, 9)], flags: flags, payload: payload))
    #expect(store.fills() == [0, 0, 9, 0])
  }

  @Test func deviceStateIsKeptUpToALimit() throws {
    let state = { (name: String, size: Int) in
      var bytes: [UInt8] = [0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1, 0, 0, 0, 0x40]
      bytes += Array(name.utf8) + [UInt8](repeating: 0, count: 256 - name.utf8.count)
      bytes.append(bigEndian: UInt32(5))
      bytes.append(bigEndian: UInt32(size))
      return bytes
    }
    let many = Array(repeating: state("d", 0), count: 4098).flatMap(\.self)
    let (channel, _) = try read(start + many)
    #expect(channel.deviceState.count == 4096 && channel.deviceStateOmitted == 2)
    #expect(channel.deviceState.first?.instance == 5 && channel.deviceState.first?.vfio == nil)
    // A length that is not there, of a name that nothing ends.
    for size in [1, 11, 12, Int(UInt32.max)] {
      let name = size == 1 ? String(repeating: "n", count: 256) : "a/vfio"
      let refusal = #expect(throws: MigrationError.self) { try read(start + state(name, size)) }
      #expect(refusal?.code == .streamTruncated)
    }
  }

  @Test func deviceStateIsPassedOver() throws {
    var state: [UInt8] = [0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1, 0, 0, 0, 0x40]
    state += [UInt8](repeating: 0x61, count: 256) + [0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5]
    let (channel, store) = try read(start + state + SmallChannel.packet([(1, 4)]))
    #expect(store.fills() == [0, 4, 0, 0])
    #expect(channel.deviceStateBytes == 5)
  }

  /// A byte of the first packet that is changed, to what, and what is said at which byte of it.
  @Test(arguments: [
    (0, 0, ErrorCode.channelSyntax, 0), (7, 2, .channelSyntax, 0), (8, 1, .channelSyntax, 8),
    (11, 6, .channelMethod, 8), (11, 0x18, .channelMethod, 8), (11, 8, .channelData, 1344),
    (11, 0x10, .channelData, 1344), (11, 0x20, .channelData, 1344), (11, 2, .channelData, 1344),
    (11, 4, .channelData, 1344),
    (19, 129, .channelSyntax, 16), (35, 127, .channelSyntax, 16), (23, 1, .channelSyntax, 20),
    (64, 0, .ramBlock, 64), (64, 0x41, .ramBlock, 64), (320, 1, .ramOffset, 320),
    (335, 1, .ramOffset, 328), (334, 0x40, .ramOffset, 328),
  ])
  func aWrongPacketIsRefusedAtItsByte(
    place: Int, value: UInt8, code: ErrorCode, offset: Int
  ) throws {
    var bytes = start + SmallChannel.packet([(0, 1), (1, 2)])
    bytes[64 + place] = value
    // Whether anybody wants the memory or not.
    for stores in [false, true] {
      let refusal = #expect(throws: MigrationError.self) { try read(bytes, stores: stores) }
      #expect(refusal?.code == code)
      #expect(refusal?.offset == UInt64(64 + offset))
      #expect(refusal?.place?.name == "c")
    }
  }

  @Test func aCutChannelIsRefused() throws {
    let bytes = start + SmallChannel.packet([(0, 1)])
    for length in Array(0..<200) + [1300, 1407, 1408, 1409, bytes.count - 1] where length != 64 {
      let refusal = #expect(throws: MigrationError.self) { try read(Array(bytes.prefix(length))) }
      #expect(refusal?.code == .streamTruncated, "\(length)")
    }
  }
}
