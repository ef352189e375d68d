import JSON
import QEMUStream
import TestSupport
import Testing
import Wire

/// Streams that the real QEMU wrote (`Fixtures/qemu/README.md`), against what was read from the
/// QEMU process itself and against QEMU's own analyze-migration script.
@Suite struct RealStreamTests {
  static let cases = ["pc72-boot", "q35-72-boot", "pc100-boot", "pc72-tiny"]

  private struct Guest {
    var reader: QEMUStreamReader
    var blocks: [[UInt8]] = []
    var records = (zero: 0, page: 0)
    var devices: [(header: SectionHeader, body: [UInt8])] = []
    /// The stream written again from its records.
    var written: [UInt8] = []
    var description: VMDescription?
  }

  private func stream(_ name: String) throws -> [UInt8] {
    try Fixture.read("qemu/\(name)/stream.xz")
  }

  private func json(_ name: String) throws -> JSON {
    try JSON(parsing: try Fixture.read("qemu/\(name)"))
  }

  /// Reads everything a stream holds, and writes it again.
  private func read(_ bytes: [UInt8], description: VMDescription?) throws -> Guest {
    let input = StreamInput(ArraySource(bytes, pieceSize: 65536))
    var guest = Guest(reader: QEMUStreamReader(input, description: description))
    var encoder = RAMEncoder(blocks: [])
    var open: SectionHeader?
    guest.written.reserveCapacity(bytes.count)
    guest.written.appendFileHeader()
    while true {
      let event = try guest.reader.next()
      if case .ram = event {
      } else if let header = open {
        guest.written.append(StreamGrammar.Footer(id: header.id))
        open = nil
      }
      switch event {
      case .configuration: guest.written.append(guest.reader.configuration!)
      case .section(let header):
        open = header
        guest.written.append(header)
        if header.name != RAMSection.name {
          let size = try guest.reader.requireBody()
          let body = Array(copying: input.bytes.extracting(first: size))
          guest.written += body
          guest.devices.append((header, body))
        }
      case .ram(.blockList):
        guest.blocks = guest.reader.ram.blocks.map { .init(repeating: 0, count: Int($0.length)) }
        encoder = RAMEncoder(blocks: guest.reader.ram.blocks)
        encoder.appendBlockList(to: &guest.written)
      case .ram(.zero(let page)):
        guest.records.zero += 1
        encoder.append(page, to: &guest.written)
      case .ram(.page(let page)):
        guest.records.page += 1
        let start = Int(page.offset)
        let content = Array(copying: input.bytes.extracting(first: 4096))
        encoder.append(page, content, to: &guest.written)
        guest.blocks[page.block].replaceSubrange(start..<start + 4096, with: content)
      case .ram(.end): encoder.appendEnd(to: &guest.written)
      case .command(let command): guest.written.append(command)
      case .endOfSections: guest.written.appendEOF()
      case .description(let size):
        let text = Array(copying: input.bytes.extracting(first: size))
        guest.description = try VMDescription(parsing: text, at: input.offset)
        guest.written.append(guest.description!)
      case .end: return guest
      case .ram(.xbzrle), .ram(.compressed), .ram(.multifdFlush), .ram(.foreign), .confidential,
        .mappedPages, .unreadable:
        Issue.record("not in these streams: \(event)")
      }
    }
  }

  @Test(arguments: cases) func aStreamIsReadWholeAndWrittenAgainByteForByte(name: String) throws {
    let bytes = try stream(name)
    let located = VMDescription.locate(inTail: bytes.span)
    let range = try #require(located)
    let description = try VMDescription(parsing: Array(bytes[range]), at: UInt64(range.lowerBound))
    let guest = try read(bytes, description: description)
    let facts = try json("\(name)/case.json")
    #expect(guest.reader.input.offset == UInt64(bytes.count))
    #expect(guest.description == description)
    #expect(guest.reader.hasFooters == true)
    #expect(guest.written == bytes)

    // RAM: the hashes were taken from the memory of the QEMU process.
    let scratch = try Scratch()
    let truth = try #require(facts["ram_blocks"]?.array)
    #expect(truth.count == guest.blocks.count)
    for block in truth {
      let name = try #require(block["name"]?.string.flatMap { SectionName($0) })
      let index = try #require(guest.reader.ram.index(of: name))
      #expect(UInt64(guest.blocks[index].count) == block["used_length"]?.uint)
      let sum = try Program.sha256(of: scratch.write("block", guest.blocks[index]))
      #expect(sum == block["sha256"]?.string, "\(name)")
    }
    #expect(JSON(guest.records.page) == facts["query_migrate"]?["ram"]?["normal"])
    #expect(JSON(guest.records.zero) == facts["query_migrate"]?["ram"]?["duplicate"])

    // Devices: each in the description, in its order, and decoded to what QEMU's script prints.
    #expect(guest.devices.map(\.header.name.description) == description.devices.map(\.name))
    let analysed = try json("\(name)/analyze.json.xz")
    #expect(analysed.members?.count == guest.devices.count + 1)
    let described = DescribedSections(description)
    for (header, body) in guest.devices {
      let device = try #require(described[header.key])
      #expect(device.body.size == body.count)
      #expect(device.body.version == nil || device.body.version == header.version)
      let decoded = try device.body.decode(body.span)
      let expected = analysed["\(header.name) (\(header.id))"]
      #expect(decoded == expected, "\(header.name)")
    }
  }

  @Test(arguments: cases.dropLast()) func bodiesFoundByFootersAreTheDescribedOnes(
    name: String
  ) throws {
    let guest = try read(try stream(name), description: nil)
    let description = try #require(guest.description)
    #expect(guest.devices.count > 20)
    let described = DescribedSections(description)
    for (header, body) in guest.devices {
      let device = try #require(described[header.key])
      #expect(device.body.size == body.count, "\(header.name)")
    }
  }

  @Test func ramIsTheImageThatWasDumpedBesideTheStream() throws {
    let guest = try read(try stream("pc72-boot"), description: nil)
    let index = try #require(guest.reader.ram.index(of: "pc.ram"))
    #expect(try guest.blocks[index] == Fixture.read("qemu/pc72-boot/pc.ram.bin.xz"))
  }
}
