import Errors
import JSON
import QEMUStream
import Wire

/// Streams small enough to write down, and a walk over any stream.
enum SmallStreams {
  /// The smallest stream with RAM that QEMU 7.2 and 10.0 load into `-M none -m 16`, as tried with
  /// both: header, configuration "none", START of ram 3 with block "ram" of 16 MiB, END, EOF.
  static let hello = """
    5145564d 00000003
    07 00000004 6e6f6e65
    01 00000003 03 72616d 00000000 00000004
    0000000001000004 03 72616d 0000000001000000
    0000000000000010 7e 00000003
    03 00000003 0000000000000010 7e 00000003
    00
    """

  /// The same stream from our writers.
  static var written: [UInt8] {
    var bytes: [UInt8] = []
    let ram = RAMEncoder(blocks: [RAMBlock(name: "ram", length: 16 << 20)])
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "none"))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    ram.appendBlockList(to: &bytes)
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.appendEOF()
    return bytes
  }

  /// A device of every kind of field, its description, and its body.
  static let device = VMDescription.Device(
    name: "dev", instance: 2,
    body: .init(
      "dev", version: 7,
      fields: [
        .init("count", type: "uint16", size: 2), .init("on", type: "bool", size: 1),
        .init("list", type: "int8", size: 1, run: .array(3)),
        .init(
          "part", type: "struct", size: 2,
          body: .init("part", version: 1, fields: [.init("x", type: "uint8", size: 2)])),
        .init("raw", type: "buffer", size: 2),
      ],
      subsections: [
        .init("dev/more", version: 1, fields: [.init("y", type: "uint8", size: 1)])
      ]))

  static var deviceBody: [UInt8] {
    var body: [UInt8] = [0x12, 0x34, 1, 0xFF, 0, 1, 0xAB, 0xCD, 0x7E, 0]
    body.appendSubsectionHeader("dev/more", version: 1)
    return body + [0x55]
  }

  /// Every record a plain stream has: configuration with subsections, ram in three sections with
  /// zero and full pages, a command, a device, a description.
  static func full(footers: Bool = true, described: Bool = true) -> [UInt8] {
    var bytes: [UInt8] = []
    var ram = RAMEncoder(blocks: [
      RAMBlock(name: "pc.ram", length: 0x4000), RAMBlock(name: "pc.bios", length: 0x1000),
    ])
    func footer(_ id: UInt32) { if footers { bytes.append(StreamGrammar.Footer(id: id)) } }
    bytes.appendFileHeader()
    bytes.append(
      Configuration(
        machine: "pc-q35-10.0", targetPageBits: 12, capabilities: ["xbzrle"],
        uuid: Array(1...16)))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    ram.appendBlockList(to: &bytes)
    ram.appendEnd(to: &bytes)
    footer(3)
    bytes.append(StreamGrammar.PartHeader(.part, id: 3))
    ram.append(RAMPage(block: 0, offset: 0), to: &bytes)
    ram.append(RAMPage(block: 0, offset: 0x3000), to: &bytes)
    ram.append(RAMPage(block: 1, offset: 0), [UInt8](repeating: 0xC3, count: 4096), to: &bytes)
    ram.appendEnd(to: &bytes)
    footer(3)
    bytes.append(StreamCommand(.switchoverStart))
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    ram.appendEnd(to: &bytes)
    footer(3)
    bytes.append(SectionHeader(.full, id: 9, name: "dev", instance: 2, version: 7))
    bytes += deviceBody
    footer(9)
    bytes.appendEOF()
    if described { bytes.append(VMDescription(devices: [device])) }
    return bytes
  }

  /// A stream whose package holds `inner`, and says that it has `length` bytes; a ping follows it.
  static func packaged(_ inner: [UInt8], length: Int) -> [UInt8] {
    var bytes = Array(written.dropLast())
    var size: [UInt8] = []
    size.append(bigEndian: UInt32(length))
    bytes.append(StreamCommand(.packaged, payload: size))
    bytes += inner
    bytes.append(StreamCommand(.ping, payload: [0, 0, 0, 4]))
    bytes.appendEOF()
    return bytes
  }

  /// All events of a stream, and the bodies of sections other than ram.
  static func walk(
    _ bytes: [UInt8], description: VMDescription? = nil, pieceSize: Int = .max
  ) throws(MigrationError) -> (events: [StreamEvent], bodies: [[UInt8]]) {
    let source = ArraySource(bytes, pieceSize: pieceSize)
    var reader = QEMUStreamReader(StreamInput(source, capacity: 8192), description: description)
    var events: [StreamEvent] = []
    var bodies: [[UInt8]] = []
    while events.last != .end {
      let event = try reader.next()
      events.append(event)
      if case .section(let header) = event, header.name != RAMSection.name {
        let size = try reader.requireBody()
        bodies.append(Array(copying: reader.input.bytes.extracting(first: size)))
      }
    }
    return (events, bodies)
  }
}

extension VMDescription.Body {
  /// The values of one section alone.
  func state(of bytes: Span<UInt8>, at base: UInt64 = 0) throws(MigrationError) -> DeviceState {
    var budget = ElementBudget(bytes: bytes.count)
    return try self.state(of: bytes, at: base, &budget)
  }

  func decode(_ bytes: Span<UInt8>, at base: UInt64 = 0) throws(MigrationError) -> JSON {
    try state(of: bytes, at: base).fields
  }
}

extension RAMEncoder {
  /// A whole page record: of a page with content, or without any, hence zero.
  mutating func append(_ page: RAMPage, _ content: [UInt8]? = nil, to output: inout [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: RAMEncoder.maximumPrefix + Page.size)
    var span = buffer.mutableSpan
    if let content { span.copy(content.span, to: prefixSize(ofBlock: page.block)) }
    let size = encode(&span, at: 0, page, count: 1, isHole: content == nil).size
    output += buffer[..<size]
  }
}
