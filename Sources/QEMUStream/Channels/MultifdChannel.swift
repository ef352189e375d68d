package import Errors
internal import Wire

/// One channel of a multifd migration, as its connection carried it (QEMU `migration/multifd.c`).
///
/// It begins with an `Opening`; then packets follow. A packet of pages is a `Header` with its offsets, and
/// its payload, packed by a `Method`; one of device state is a `DeviceStateHeader` and the state.
package final class MultifdChannel {
  /// The method by which pages are packed.
  package enum Method: UInt32, Sendable, CaseIterable {
    case none = 0
    case zlib = 1
    case zstd = 2
    case qpl = 4
    case uadk = 8
    case qatzip = 16

    /// The name that QEMU gives the method.
    package var name: String { "\(self)" }
  }

  /// The pages of one packet.
  struct Packet {
    /// Index in the block list.
    var block = 0
    /// Offsets of the pages whose content is in the payload, in the payload's order.
    var normal: [UInt64] = []
    var zero: [UInt64] = []
    /// Whether the channels wait for each other after this packet.
    var isMeetingPoint = false
  }

  /// Bytes of the pages of a full packet.
  private static let room = 512 << 10
  /// QEMU gives a packed packet twice the room of its pages.
  private static let payloadLimit = UInt32(2 * room)

  /// Name of the file from which the channel is read.
  package let name: String
  /// Number of the channel.
  package let id: UInt8
  /// UUID of the machine, 16 bytes.
  package let uuid: [UInt8]
  /// Number of packets that were read, packets of device state included.
  package private(set) var packets: UInt64 = 0
  package private(set) var normalPages: UInt64 = 0
  package private(set) var zeroPages: UInt64 = 0
  /// Method of the packets read so far that have pages with content; nil when no packet had any.
  package private(set) var method: Method?
  /// Number of bytes of device state, which is skipped.
  package private(set) var deviceStateBytes: UInt64 = 0
  /// Packets of device state, the first `deviceStateLimit`.
  package private(set) var deviceState: [ChannelDeviceState] = []
  /// Packets of device state after those.
  package private(set) var deviceStateOmitted: UInt64 = 0
  /// Packets of device state that are kept.
  package static let deviceStateLimit = 4096

  /// Bytes of the windows of all channels together, where each has more than QEMU's default level needs.
  private static let windowRoom = 64 << 20
  private static let leastWindowBits = 19
  private let windowBits: Int
  private let input: StreamInput
  private var unpacker: PayloadUnpacker?
  /// Content of the normal pages of the packet read last.
  let pages = PageBuffer(count: room)

  /// Reads the initial message of the channel.
  /// - Parameter channels: number of all channels, which share the room for zstd windows.
  /// - Throws: `CHANNEL-SYNTAX` when the message is not well formed; `STREAM-TRUNCATED`.
  package init(_ input: StreamInput, name: String, of channels: Int = 1) throws(MigrationError) {
    self.input = input
    let room = Self.windowRoom / max(channels, 1)
    windowBits = max(Self.leastWindowBits, Int.bitWidth - 1 - room.leadingZeroBitCount)
    self.name = name
    do throws(MigrationError) {
      try Self.refusePreempt(input)
      try Self.requireMark(input, or: "not a multifd channel")
      let opening = try input.readRecord(Opening.self)
      uuid = opening.uuid.array
      id = opening.id.value
    } catch {
      throw error.within(.file(name))
    }
  }

  /// Refuses the second connection of a migration with postcopy-preempt. It carries RAM records
  /// without a header, for pages that the destination requested; without requests it carries only
  /// the end of a body.
  /// - Throws: `CHANNEL-SYNTAX`.
  private static func refusePreempt(_ input: StreamInput) throws(MigrationError) {
    guard try input.available(atLeast: BE64.size) >= BE64.size else { return }
    var cursor = ByteCursor(input.bytes)
    let word = try cursor.read(UInt64.self)
    let type = word & TargetPage.x86.mask
    guard
      word == RAMFlags.end || (type == RAMFlags.page || type == RAMFlags.zero) && word >> 48 == 0
    else { return }
    throw MigrationError(
      .channelSyntax, "a channel of postcopy-preempt, which is not read", at: input.offset,
      expected: "11223344 00000001, a multifd channel",
      got: "\(Hex.number(word)), a RAM record")
  }

  /// Refuses a channel of another machine. Every channel carries the UUID of the machine, which
  /// QEMU's destination checks; a channel without a UUID therefore does not belong to a machine
  /// that has one.
  /// - Throws: `CHANNEL-MACHINE`.
  func require(machine uuid: [UInt8]) throws(MigrationError) {
    guard self.uuid == uuid else {
      throw MigrationError(
        .channelMachine, "channel is of another machine", in: .file(name),
        at: UInt64(Opening.offset(of: \.uuid)),
        expected: "UUID \(Hex.encode(uuid))", got: Hex.encode(self.uuid))
    }
  }

  /// Number of bytes of the file that were read.
  package var offset: UInt64 { input.offset }

  /// Reads a packet with its payload.
  /// - Parameter copies: whether `pages` receives content that is not packed. Packed content is
  ///   always unpacked, since that is the only check of it.
  /// - Returns: nil at the end of the channel.
  /// - Throws: `CHANNEL-SYNTAX`; `CHANNEL-METHOD` for an unknown method; `CHANNEL-DATA` for a payload that
  ///   does not unpack to its pages; `RAM-BLOCK`, `RAM-OFFSET`;
  ///   `STREAM-TRUNCATED`.
  func next(blocks: RAMDecoder, copies: Bool) throws(MigrationError) -> Packet? {
    do throws(MigrationError) {
      while try !input.isAtEnd() {
        if let packet = try packet(blocks, copies) { return packet }
      }
      return nil
    } catch {
      throw error.within(.file(name))
    }
  }

  /// - Returns: nil for a packet without pages, such as one of device state.
  private func packet(_ blocks: RAMDecoder, _ copies: Bool) throws(MigrationError) -> Packet? {
    let start = input.offset
    try Self.requireMark(input, or: "no packet begins here")
    let prefix = try input.peekRecord(Prefix.self)
    packets += 1
    if prefix.flags.value & Prefix.deviceState != 0 {
      let state = try ChannelDeviceState(input)
      deviceStateBytes += UInt64(state.size)
      if deviceState.count < Self.deviceStateLimit {
        deviceState.append(state)
      } else {
        deviceStateOmitted += 1
      }
      return nil
    }
    let method = try Self.method(of: prefix, at: start)
    let (packet, payload) = try readHead(blocks)
    if !packet.normal.isEmpty {
      self.method = method
      try read(payload, method, of: packet, blocks.page.size, copies, at: start)
    }
    normalPages += UInt64(packet.normal.count)
    zeroPages += UInt64(packet.zero.count)
    return packet
  }

  private static func method(
    of prefix: Prefix, at start: UInt64
  ) throws(MigrationError) -> Method {
    let place = Prefix.offset(of: \.flags, from: start)
    guard prefix.flags.value & ~Prefix.ofPages == 0 else {
      throw MigrationError(
        .channelSyntax, "packet has unknown flags", at: place,
        got: "0x" + hex(prefix.flags.value))
    }
    guard let method = Method(rawValue: prefix.method) else {
      let known = Method.allCases.map { "\($0.name) \($0.rawValue)" }.joined(separator: ", ")
      throw MigrationError(
        .channelMethod, "pages are packed by a method that is not known", at: place,
        expected: known, got: "\(prefix.method)")
    }
    return method
  }

  private func readHead(_ blocks: RAMDecoder) throws(MigrationError) -> (Packet, payload: UInt32) {
    let start = input.offset
    let slots = UInt32(Self.room / blocks.page.size)
    try input.require(Header.size + Int(slots) * BE64.size)
    let header = try input.readRecord(Header.self)
    let (normal, zero) = (header.normal.value, header.zero.value)
    guard normal <= slots, zero <= slots - normal else {
      throw MigrationError(
        .channelSyntax, "packet has more pages than room",
        at: Header.offset(of: \.normal, from: start), expected: "at most \(slots)",
        got: "\(normal) and \(zero)")
    }
    var packet = Packet()
    packet.isMeetingPoint = header.prefix.record.flags.value & Prefix.meets != 0
    if normal + zero > 0 {
      let name = header.block.name
      guard let name, let block = blocks.index(of: name) else {
        throw MigrationError(
          .ramBlock, "block is not in the list", at: Header.offset(of: \.block, from: start),
          got: name?.description)
      }
      packet.block = block
      let found = try offsets(Int(normal + zero), in: blocks.blocks[block], blocks.page)
      packet.normal = Array(found.prefix(Int(normal)))
      packet.zero = Array(found.dropFirst(Int(normal)))
    }
    input.consume(Int(slots) * BE64.size)
    return (packet, header.payload.value)
  }

  /// The offsets that are next in the input, left in place.
  private func offsets(
    _ count: Int, in block: RAMBlock, _ page: TargetPage
  ) throws(MigrationError) -> [UInt64] {
    let input = self.input
    var cursor = ByteCursor(input.bytes, at: input.offset)
    var offsets: [UInt64] = []
    for _ in 0..<count {
      let place = cursor.offset
      let offset = try cursor.read(UInt64.self)
      guard offset & page.mask == 0, offset < block.length else {
        throw MigrationError(
          .ramOffset, "page lies beyond its block \(block.name)", at: place,
          expected: "less than 0x" + String(block.length, radix: 16), got: Hex.number(offset))
      }
      offsets.append(offset)
    }
    return offsets
  }

  // MARK: Payload

  private func read(
    _ size: UInt32, _ method: Method, of packet: Packet, _ page: Int, _ copies: Bool,
    at start: UInt64
  ) throws(MigrationError) {
    let needed = packet.normal.count * page
    guard size <= Self.payloadLimit, method != .none || Int(size) == needed else {
      throw MigrationError(
        .channelSyntax, "packet has a wrong length of payload",
        at: Header.offset(of: \.payload, from: start),
        expected: method == .none ? "\(needed)" : "at most \(Self.payloadLimit)", got: "\(size)")
    }
    let input = self.input
    let unpacker = try unpacker(for: method, at: start)
    guard copies || method != .none else { return try input.skip(UInt64(size)) }
    try input.require(Int(size))
    let pages = self.pages
    var target = pages.mutableSpan(0..<needed)
    let payload = input.bytes.extracting(first: Int(size))
    guard unpacker.unpack(payload, into: &target, size: page) else {
      throw MigrationError(
        .channelData, "packet does not unpack to its pages", at: input.offset,
        expected: unpacker.exceededLimit ?? "\(packet.normal.count) pages of \(method.name)")
    }
    input.consume(Int(size))
  }

  private func unpacker(
    for method: Method, at start: UInt64
  ) throws(MigrationError) -> PayloadUnpacker {
    if let unpacker {
      guard unpacker.method == method else {
        throw MigrationError(
          .channelSyntax, "packets of one channel are packed in two ways",
          at: Prefix.offset(of: \.flags, from: start), got: method.name)
      }
      return unpacker
    }
    let made = try PayloadUnpacker(method, windowBits: windowBits)
    unpacker = made
    return made
  }

  /// Checks the magic and version with which the channel and each packet begin. Consumes nothing.
  private static func requireMark(
    _ input: StreamInput, or what: String
  ) throws(MigrationError) {
    let mark = try input.peekRecord(Mark.self)
    guard mark.isValid else {
      throw MigrationError(
        .channelSyntax, what, at: input.offset,
        expected: hex(Mark.magic) + " " + hex(Mark.version),
        got: hex(mark.magic.value) + " " + hex(mark.version.value))
    }
  }

  private static func hex(_ value: UInt32) -> String {
    Hex.encode((0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) })
  }
}
