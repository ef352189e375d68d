package import Errors
internal import Wire

/// One channel of a multifd migration, as its connection carried it (QEMU `migration/multifd.c`).
/// All integers are big-endian.
///
/// It begins with a message:
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
///          8     4  flags        bit 0: flush; bits 1 to 5: method; bit 6: device state
///         12     4  slots        pages a packet has room for: 512 KiB of them
///         16     4  normal       pages with content
///         20     4  payload      bytes that follow, unless there is no normal page
///         24     8  number       over all channels; ignored, as QEMU 7.2 may repeat it
///         32     4  zero         zero pages
///         36    28  reserved
///         64   256  block        name, padded with zero bytes
///        320     n  offsets      8 bytes a slot: in the block, normal pages, then zero pages
///
/// With method 0 the payload is the pages. With zlib and zstd it is a piece of one packed stream
/// that continues through all packets of the channel.
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

  private static let magic: UInt32 = 0x1122_3344
  /// Size in bytes of the part of a packet before the offsets.
  private static let fixedSize = 320
  /// Size in bytes of the pages of a full packet.
  private static let room = 512 << 10
  private static let deviceState: UInt32 = 0x40
  /// QEMU allows the payload of a packed packet twice the size of its pages.
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

  private let input: StreamInput
  private var unpacker: (method: Method, unpacker: any Unpacker)?
  /// Content of the normal pages of the last packet.
  let pages = PageBuffer(count: room)

  /// Reads the initial message of the channel.
  /// - Throws: `CHANNEL-SYNTAX` when the message is not well formed; `STREAM-TRUNCATED`.
  package init(_ input: StreamInput, name: String) throws(MigrationError) {
    self.input = input
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

  /// Refuses the second connection of a migration with postcopy-preempt. It carries RAM records
  /// without a header, for pages that the destination requested; without requests it carries only
  /// the end of a body.
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

  /// Refuses a channel of another machine. Every channel carries the UUID of the machine, which
  /// QEMU's destination checks; a channel without a UUID therefore does not belong to a machine
  /// that has one.
  /// - Throws: `CHANNEL-MACHINE`.
  func require(machine uuid: [UInt8]) throws(MigrationError) {
    guard self.uuid == uuid else {
      throw MigrationError(
        .channelMachine, "channel is of another machine", in: .file(name), at: 8,
        expected: "UUID \(Hex.encode(uuid))", got: Hex.encode(self.uuid))
    }
  }

  /// Number of bytes of the file that were read.
  package var offset: UInt64 { input.offset }

  /// Reads a packet with its payload.
  /// - Parameter copies: whether `pages` receives content that is not packed. Packed content is
  ///   always unpacked, since that is the only check of it.
  /// - Returns: nil at the end of the channel.
  /// - Throws: `CHANNEL-SYNTAX`; `CHANNEL-METHOD` for a method that is not supported;
  ///   `CHANNEL-DATA` for a payload that does not unpack to its pages; `RAM-BLOCK`, `RAM-OFFSET`;
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
    try Self.readMagic(input, or: "no packet begins here")
    let flags = try input.read(UInt32.self)
    packets += 1
    if flags & Self.deviceState != 0 {
      // 256 bytes of name and a 4-byte instance precede the size.
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
      let isWhole = try unpacker(for: method, at: start)
        .unpack(input.bytes.extracting(first: Int(size)), into: &target)
      guard isWhole else {
        throw MigrationError(
          .channelData, "packet does not unpack to its pages", at: input.offset,
          expected: "\(needed / page) pages of \(method.name)")
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
    case .zstd: made = try ZstdUnpacker()
    case .none, .qpl, .uadk, .qatzip:
      throw MigrationError(
        .channelMethod, "pages packed by this method are not unpacked", at: start &+ 8,
        expected: "none, zlib or zstd", got: method.name)
    }
    unpacker = (method, made)
    return made
  }

  /// Reads the magic and version with which the channel and each packet begin.
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
