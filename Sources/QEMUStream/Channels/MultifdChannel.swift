package import Errors
internal import Wire

/// One channel of a multifd migration, as its connection carried it (QEMU `migration/multifd.c`).
/// All integers are big-endian.
///
/// It begins with
///
///     offset  size  field
///          0     4  magic        11223344
///          4     4  version      1
///          8    16  UUID         of the machine, zero without one
///         24     1  id           of the channel
///         25    39  reserved
///
/// then packets, each followed by its payload:
///
///     offset  size  field
///          0     4  magic        11223344
///          4     4  version      1
///          8     4  flags        bit 0: channels meet here; bits 1 to 5: method; bit 6: device state
///         12     4  slots        pages a packet has room for: 512 KiB of them
///         16     4  normal       pages with content
///         20     4  payload      bytes that follow, unless there is no normal page
///         24     8  number       over all channels; not read: QEMU 7.2 gives one to two packets
///         32     4  zero         zero pages
///         36    28  reserved
///         64   256  block        name, padded with zero bytes
///        320     n  offsets      8 bytes for each slot: in the block, of normal pages, then of zero pages
///
/// The payload of method 0 is the pages; of zlib and zstd a piece of one packed stream, which goes
/// through all packets of the channel.
package final class MultifdChannel {
  /// How pages are packed.
  package enum Method: UInt32, Sendable, CaseIterable {
    case none = 0
    case zlib = 1
    case zstd = 2
    case qpl = 4
    case uadk = 8
    case qatzip = 16

    /// QEMU's name of it.
    package var name: String { "\(self)" }
  }

  /// What a packet says of its pages.
  struct Packet {
    /// Index in the block list.
    var block = 0
    /// Offsets of pages whose content is in the payload, in its order.
    var normal: [UInt64] = []
    var zero: [UInt64] = []
    /// Whether channels wait for each other behind it.
    var isMeetingPoint = false
  }

  private static let magic: UInt32 = 0x1122_3344
  /// Bytes of a packet before the offsets.
  private static let fixedSize = 320
  /// Bytes of the pages of a full packet.
  private static let room = 512 << 10
  private static let deviceState: UInt32 = 0x40
  /// QEMU gives a packed packet twice the room of its pages.
  private static let payloadLimit = UInt32(2 * room)

  /// Of the file it is read from.
  package let name: String
  /// Its number among the channels.
  package let id: UInt8
  /// Of the machine, 16 bytes.
  package let uuid: [UInt8]
  /// Packets that were read, those of device state too.
  package private(set) var packets: UInt64 = 0
  package private(set) var normalPages: UInt64 = 0
  package private(set) var zeroPages: UInt64 = 0
  /// Of the packets so far that had pages with content; nil when none had.
  package private(set) var method: Method?
  /// Bytes of device state, which is not read.
  package private(set) var deviceStateBytes: UInt64 = 0

  /// Bytes of the windows of all channels together, where each has more than QEMU's default level needs.
  private static let windowRoom = 64 << 20
  private static let leastWindowBits = 19
  private let windowBits: Int
  private let input: StreamInput
  private var unpacker: (method: Method, unpacker: any Unpacker)?
  /// Content of the normal pages of the packet read last.
  let pages = PageBuffer(count: room)

  /// Reads how the channel begins.
  /// - Parameter channels: how many there are, which share the room for windows of zstd.
  /// - Throws: `CHANNEL-SYNTAX` when it does not begin as one; `STREAM-TRUNCATED`.
  package init(_ input: StreamInput, name: String, of channels: Int = 1) throws(MigrationError) {
    self.input = input
    let room = Self.windowRoom / max(channels, 1)
    windowBits = max(Self.leastWindowBits, Int.bitWidth - 1 - room.leadingZeroBitCount)
    self.name = name
    do throws(MigrationError) {
      try Self.refusePreempt(input)
      try Self.readMagic(input, or: "not a multifd channel")
      uuid = try input.readArray(16)
      id = try input.read()
      _ = try input.readArray(39)
    } catch {
      throw error.within(.file(name))
    }
  }

  /// Refuses the second connection of a migration with postcopy-preempt: RAM records without header, of pages
  /// that the destination asked for. One that brought none has the end of a body alone.
  /// - Throws: `CHANNEL-SYNTAX`.
  private static func refusePreempt(_ input: StreamInput) throws(MigrationError) {
    guard try input.available(atLeast: 8) >= 8 else { return }
    let window = input.bytes
    var word: UInt64 = 0
    for index in 0..<8 { word = word << 8 | UInt64(window[index]) }
    let type = word & TargetPage.x86.mask
    guard
      word == RAMFlags.end || (type == RAMFlags.page || type == RAMFlags.zero) && word >> 48 == 0
    else { return }
    throw MigrationError(
      .channelSyntax, "a channel of postcopy-preempt, which is not read", at: input.offset,
      expected: "11223344 00000001, a multifd channel",
      got: "\(Hex.number(word)), a RAM record")
  }

  /// Refuses a channel of another machine. Every channel names the UUID of the machine, as QEMU's
  /// destination demands: one without UUID is not of a machine that has one.
  /// - Throws: `CHANNEL-MACHINE`.
  func require(machine uuid: [UInt8]) throws(MigrationError) {
    guard self.uuid == uuid else {
      throw MigrationError(
        .channelMachine, "channel is of another machine", in: .file(name), at: 8,
        expected: "UUID \(Hex.encode(uuid))", got: Hex.encode(self.uuid))
    }
  }

  /// Bytes of the file that are read.
  package var offset: UInt64 { input.offset }

  /// Reads a packet with its payload.
  /// - Parameter copies: whether `pages` is to have content that is not packed. What is packed is
  ///   unpacked in any case: else nobody knows whether it can be.
  /// - Returns: nil at the end of the channel.
  /// - Throws: `CHANNEL-SYNTAX`; `CHANNEL-METHOD` for a method that is not unpacked; `CHANNEL-DATA`
  ///   for a payload that does not unpack to its pages; `RAM-BLOCK`, `RAM-OFFSET`;
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

  /// - Returns: nil for a packet without pages to be told of.
  private func packet(_ blocks: RAMDecoder, _ copies: Bool) throws(MigrationError) -> Packet? {
    let start = input.offset
    try Self.readMagic(input, or: "no packet begins here")
    let flags = try input.read(UInt32.self)
    packets += 1
    if flags & Self.deviceState != 0 {
      // 256 bytes of name and an instance, then how many bytes follow.
      _ = try input.readArray(260)
      let size = UInt64(try input.read(UInt32.self))
      try input.skip(size)
      deviceStateBytes += size
      return nil
    }
    guard flags & ~0x3F == 0, let method = Method(rawValue: flags >> 1 & 0x1F) else {
      throw MigrationError(
        .channelSyntax, "packet has unknown flags", at: start &+ 8, got: "0x" + Self.hex(flags))
    }
    let slots = Self.room / blocks.page.size
    let header = try input.readArray(Self.fixedSize + 8 * slots - 12)
    var (packet, payload) = try parse(header.span, at: start, blocks)
    packet.isMeetingPoint = flags & 1 != 0
    if !packet.normal.isEmpty {
      self.method = method
      let page = blocks.page.size
      try read(payload, method, size: packet.normal.count * page, of: page, copies, at: start)
    }
    normalPages += UInt64(packet.normal.count)
    zeroPages += UInt64(packet.zero.count)
    return packet
  }

  private func parse(
    _ header: Span<UInt8>, at start: UInt64, _ blocks: RAMDecoder
  ) throws(MigrationError) -> (Packet, payload: UInt32) {
    var cursor = ByteCursor(header, at: start &+ 12)
    _ = try cursor.read(UInt32.self)
    let normal = try cursor.read(UInt32.self)
    let payload = try cursor.read(UInt32.self)
    _ = try cursor.read(UInt64.self)
    let zero = try cursor.read(UInt32.self)
    _ = try cursor.take(28)
    let slots = UInt32(Self.room / blocks.page.size)
    guard normal <= slots, zero <= slots - normal else {
      throw MigrationError(
        .channelSyntax, "packet has more pages than room", at: start &+ 16,
        expected: "at most \(slots)", got: "\(normal) and \(zero)")
    }
    var packet = Packet()
    let padded = try cursor.takeArray(256)
    guard normal + zero > 0 else { return (packet, payload) }
    let name = SectionName(Array(padded.prefix { $0 != 0 }))
    guard let name, let block = blocks.index(of: name) else {
      throw MigrationError(
        .ramBlock, "block is not in the list", at: start &+ 64, got: name?.description)
    }
    packet.block = block
    for index in 0..<normal + zero {
      let place = cursor.offset
      let offset = try cursor.read(UInt64.self)
      guard offset & blocks.page.mask == 0, offset < blocks.blocks[block].length else {
        throw MigrationError(
          .ramOffset, "page lies beyond its block \(name)", at: place,
          expected: "less than 0x" + String(blocks.blocks[block].length, radix: 16),
          got: Hex.number(offset))
      }
      if index < normal { packet.normal.append(offset) } else { packet.zero.append(offset) }
    }
    return (packet, payload)
  }

  // MARK: Payload

  private func read(
    _ size: UInt32, _ method: Method, size needed: Int, of page: Int, _ copies: Bool,
    at start: UInt64
  ) throws(MigrationError) {
    guard size <= Self.payloadLimit, method != .none || Int(size) == needed else {
      throw MigrationError(
        .channelSyntax, "packet has a wrong length of payload", at: start &+ 20,
        expected: method == .none ? "\(needed)" : "at most \(Self.payloadLimit)", got: "\(size)")
    }
    let input = self.input
    guard copies || method != .none else { return try input.skip(UInt64(size)) }
    try input.require(Int(size))
    let pages = self.pages
    var target = pages.mutableSpan(0..<needed)
    if method == .none {
      target.copy(input.bytes.extracting(first: needed), to: 0)
    } else {
      let unpacker = try self.unpacker(for: method, at: start)
      let isWhole = unpacker.unpack(input.bytes.extracting(first: Int(size)), into: &target)
      guard isWhole else {
        throw MigrationError(
          .channelData, "packet does not unpack to its pages", at: input.offset,
          expected: unpacker.exceededLimit ?? "\(needed / page) pages of \(method.name)")
      }
    }
    input.consume(Int(size))
  }

  private func unpacker(
    for method: Method, at start: UInt64
  ) throws(MigrationError) -> any Unpacker {
    if let unpacker {
      guard unpacker.method == method else {
        throw MigrationError(
          .channelSyntax, "packets of one channel are packed in two ways", at: start &+ 8,
          got: method.name)
      }
      return unpacker.unpacker
    }
    let made: any Unpacker
    switch method {
    case .zlib: made = try ZlibUnpacker(.zlib)
    case .zstd: made = try ZstdUnpacker(windowBits: windowBits)
    case .none, .qpl, .uadk, .qatzip:
      throw MigrationError(
        .channelMethod, "pages packed by this method are not unpacked", at: start &+ 8,
        expected: "none, zlib or zstd", got: method.name)
    }
    unpacker = (method, made)
    return made
  }

  /// Reads magic and version, which the channel and each packet begin with.
  private static func readMagic(
    _ input: StreamInput, or what: String
  ) throws(MigrationError) {
    let start = input.offset
    let magic = try input.read(UInt32.self)
    let version = try input.read(UInt32.self)
    guard magic == Self.magic, version == 1 else {
      throw MigrationError(
        .channelSyntax, what, at: start, expected: "11223344 00000001",
        got: hex(magic) + " " + hex(version))
    }
  }

  private static func hex(_ value: UInt32) -> String {
    Hex.encode((0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) })
  }
}
