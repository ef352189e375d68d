import Errors
import JSON
import QEMUStream
import Testing
import Wire

@Suite struct StreamReaderTests {
  private let description = VMDescription(devices: [SmallStreams.device])

  @Test func theWritersGiveTheStreamThatQEMULoads() throws {
    let published = try #require(Hex.decode(SmallStreams.hello.filter { !$0.isWhitespace }))
    #expect(SmallStreams.written == published)
    #expect(published.count == 86)
    let events = try SmallStreams.walk(published).events
    let start = SectionHeader(
      .start, id: 3, name: "ram", instance: 0, version: 4, offset: 17)
    let end = SectionHeader(.end, id: 3, name: "ram", instance: 0, version: 4, offset: 67)
    #expect(
      events == [
        .configuration, .section(start), .ram(.blockList), .ram(.end), .section(end), .ram(.end),
        .endOfSections, .end,
      ])
  }

  @Test(arguments: [1, 5, 4096, 1 << 20], [true, false])
  func everyRecordIsReadWhateverTheSourceGives(pieceSize: Int, described: Bool) throws {
    let bytes = SmallStreams.full()
    let (events, bodies) = try SmallStreams.walk(
      bytes, description: described ? description : nil, pieceSize: pieceSize)
    #expect(bodies == [SmallStreams.deviceBody])
    #expect(events.contains(.ram(.page(RAMPage(block: 1, offset: 0)))))
    #expect(events.contains(.ram(.zero(RAMPage(block: 0, offset: 0x3000)))))
    #expect(
      events.contains {
        if case .command(let it) = $0 { it.code == .switchoverStart } else { false }
      })
    #expect(events.contains(.description(size: description.json.compact.count)))
    #expect(events.count == 16)
  }

  @Test func theConfigurationComesBack() throws {
    let written = Configuration(
      machine: "pc-i440fx-7.2", targetPageBits: 14, capabilities: ["mapped-ram", "x"],
      uuid: Array(repeating: 7, count: 16))
    var bytes: [UInt8] = []
    bytes.append(written)
    let input = StreamInput(ArraySource(bytes + [0]), capacity: 4096)
    #expect(try input.readRecordType() == .configuration)
    #expect(try input.readConfiguration() == written)
    #expect(input.offset == UInt64(bytes.count))
  }

  @Test func withoutFootersADescriptionGivesTheLengthAndNothingElseDoes() throws {
    let bytes = SmallStreams.full(footers: false)
    #expect(
      try SmallStreams.walk(bytes, description: description).bodies
        == [SmallStreams.deviceBody])
    let (events, bodies) = try SmallStreams.walk(bytes)
    #expect(bodies.isEmpty)
    let header = try #require(
      events.compactMap { if case .unreadable(let header) = $0 { header } else { nil } }.first)
    #expect(header.name == "dev" && header.instance == 2)
    // All in front of it was read, and nothing behind.
    #expect(events.suffix(3).first == .ram(.end))
    #expect(events.last == .end)
  }

  /// A package inside a stream: its records come as if they stood there themselves.
  @Test(arguments: [false, true])
  func aPackageIsReadInPlace(withEOF: Bool) throws {
    var inner: [UInt8] = []
    inner.append(StreamCommand(.postcopyListen))
    inner.append(SectionHeader(.full, id: 9, name: "dev", instance: 2, version: 7))
    inner += SmallStreams.deviceBody
    inner.append(StreamGrammar.Footer(id: 9))
    inner.append(StreamCommand(.postcopyRun))
    if withEOF { inner.appendEOF() }
    let bytes = SmallStreams.packaged(inner, length: inner.count)
    let (events, bodies) = try SmallStreams.walk(bytes)
    #expect(bodies == [SmallStreams.deviceBody])
    let commands = events.compactMap {
      if case .command(let command) = $0 { command } else { nil }
    }
    #expect(commands.map(\.code) == [.packaged, .postcopyListen, .postcopyRun, .ping])
    // Offsets are the file's.
    for command in commands { #expect(bytes[Int(command.offset)] == 8) }
  }

  /// By how much a package's length is wrong.
  @Test(arguments: [-1, 1])
  func aPackageOfAnotherLengthIsRefusedWhereItEnds(excess: Int) throws {
    var inner: [UInt8] = []
    inner.append(StreamCommand(.postcopyListen))
    let bytes = SmallStreams.packaged(inner, length: inner.count + excess)
    let start = bytes.count - inner.count - 9 - 1
    let refusal = #expect(throws: MigrationError.self) { try SmallStreams.walk(bytes) }
    #expect(refusal?.code == .sectionLength)
    #expect(refusal?.offset == UInt64(start + inner.count + excess))
  }

  @Test func aPackageHoldsNoPackage() throws {
    var inner: [UInt8] = []
    inner.append(StreamCommand(.packaged, payload: [0, 0, 0, 0]))
    let refusal = #expect(throws: MigrationError.self) {
      try SmallStreams.walk(SmallStreams.packaged(inner, length: inner.count))
    }
    #expect(refusal?.code == .command)
  }

  @Test func aBodyThatDisagreesWithItsDescriptionIsRefused() {
    var device = SmallStreams.device
    device.body.fields[0].size = 4
    let refusal = #expect(throws: MigrationError.self) {
      try SmallStreams.walk(SmallStreams.full(), description: VMDescription(devices: [device]))
    }
    #expect(refusal?.code == .vmdescriptionMismatch)
  }

  /// A description that comes behind the sections says no less than one that was found before.
  @Test(arguments: [-1, 1, 9])
  func aBodyIsHeldAgainstADescriptionThatComesLater(excess: Int) throws {
    var device = SmallStreams.device
    device.body.fields[4].size = UInt64(Int(device.body.fields[4].size) + excess)
    let wrong = VMDescription(devices: [device])
    var bytes = SmallStreams.full(described: false)
    let body = try #require(bytes.firstRange(of: SmallStreams.deviceBody)).lowerBound
    bytes.append(wrong)
    for known in [nil, wrong] {
      let refusal = #expect(throws: MigrationError.self) {
        try SmallStreams.walk(bytes, description: known)
      }
      #expect(refusal?.code == .vmdescriptionMismatch)
      #expect(refusal?.place?.name == "dev")
      #expect(refusal?.offset == UInt64(body + SmallStreams.deviceBody.count + excess))
    }
  }

  /// Every part of a section has the length that is described.
  @Test(arguments: [0, 1, 3]) func aPartOfAnotherLengthIsNoticed(place: Int) throws {
    var bytes = Array(SmallStreams.written.dropLast())
    var starts: [Int] = []
    for part in 0..<4 {
      if part == 0 {
        bytes.append(SectionHeader(.start, id: 9, name: "live", version: 1))
      } else {
        bytes.append(StreamGrammar.PartHeader(.part, id: 9))
      }
      starts.append(bytes.count)
      bytes += [UInt8](repeating: 7, count: part >= place ? 3 : 2)
      bytes.append(StreamGrammar.Footer(id: 9))
    }
    bytes.appendEOF()
    let field = VMDescription.Field("x", type: "uint16", size: 2)
    bytes.append(
      VMDescription(devices: [.init(name: "live", body: .init("live", version: 1, fields: [field]))]
      ))
    let refusal = #expect(throws: MigrationError.self) { try SmallStreams.walk(bytes) }
    #expect(refusal?.code == .vmdescriptionMismatch)
    #expect(refusal?.offset == UInt64(starts[place] + 2))
  }

  /// A body that no footer ends, in a stream that does not end early: its description is there.
  @Test func aFooterOfAnotherSectionIsToldByTheDescription() throws {
    var bytes = SmallStreams.full()
    let body = try #require(bytes.firstRange(of: SmallStreams.deviceBody))
    bytes[body.upperBound + 4] ^= 1
    let refusal = #expect(throws: MigrationError.self) { try SmallStreams.walk(bytes) }
    #expect(refusal?.code == .vmdescriptionMismatch)
    #expect(refusal?.offset == UInt64(body.upperBound))
  }

  @Test func aSizeThatCannotBeIsRefusedAtTheBody() throws {
    var device = SmallStreams.device
    device.body.fields[4].size = .max
    var bytes = SmallStreams.full(described: false)
    let body = try #require(bytes.firstRange(of: SmallStreams.deviceBody)).lowerBound
    bytes.append(VMDescription(devices: [device]))
    for known in [nil, VMDescription(devices: [device])] {
      let refusal = #expect(throws: MigrationError.self) {
        try SmallStreams.walk(bytes, description: known)
      }
      #expect(refusal?.code == .vmdescriptionSyntax)
      #expect(refusal?.offset == UInt64(body))
    }
  }

  /// The description is read by whoever asks, once, and by nobody at another place.
  @Test func theDescriptionIsReadOnce() throws {
    let bytes = SmallStreams.full()
    var reader = QEMUStreamReader(StreamInput(ArraySource(bytes), capacity: 8192))
    var event = try reader.next()
    while event != .end {
      if case .description = event {
        #expect(try reader.requireDescription() == description)
        #expect(try reader.requireDescription() == description)
        #expect(reader.description == description)
      } else {
        let refusal = #expect(throws: MigrationError.self) { try reader.requireDescription() }
        #expect(refusal?.code == .sectionOrder)
      }
      event = try reader.next()
    }
  }

  @Test func aCallerMayReadABodyItself() throws {
    var reader = QEMUStreamReader(StreamInput(ArraySource(SmallStreams.full()), capacity: 8192))
    var body: [UInt8] = []
    while true {
      let event = try reader.next()
      if event == .end { break }
      if case .section(let header) = event, header.name == "dev" {
        body = try reader.input.readArray(SmallStreams.deviceBody.count)
        try reader.bodyWasRead()
      }
    }
    #expect(body == SmallStreams.deviceBody)
    #expect(reader.hasFooters == true)
    #expect(reader.configuration?.machineText == "pc-q35-10.0")
    #expect(throws: MigrationError.self) { try reader.bodyWasRead() }
  }

  /// A cut is always noticed, but for the two places where a whole stream may end.
  @Test(arguments: [true, false])
  func everyCutIsRefused(described: Bool) throws {
    let bytes = SmallStreams.full()
    let whole = SmallStreams.full(described: false).count
    // Cuts inside the one full page are all alike.
    let page = bytes.firstIndex(of: 0xC3)! + 3
    for length in 0..<bytes.count where length != whole && !(page..<page + 4000 ~= length) {
      let refusal = #expect(throws: MigrationError.self) {
        try SmallStreams.walk(
          Array(bytes.prefix(length)), description: described ? description : nil)
      }
      #expect(refusal?.code == (length == 0 ? .streamEmpty : .streamTruncated))
    }
  }

  /// Every error is a coded one of the container; most flips of structure are noticed.
  @Test func aFlippedByteNeverTraps() {
    let bytes = SmallStreams.full()
    let page = bytes.firstIndex(of: 0xC3)! + 3
    var refused = 0
    for index in bytes.indices where !(page..<page + 4000 ~= index) {
      for mask: UInt8 in [0x01, 0x80, 0xFF] {
        var damaged = bytes
        damaged[index] ^= mask
        for description in [nil, description] {
          do throws(MigrationError) {
            _ = try SmallStreams.walk(damaged, description: description)
          } catch {
            #expect(error.code.exitStatus == 65)
            refused += 1
          }
        }
      }
    }
    #expect(refused > 600)
  }

  /// What stands where the device section would: the code.
  @Test(arguments: [
    ("04 00000003 03 646576 00000000 00000001", ErrorCode.sectionID),
    ("04 00000004 03 72616d 00000000 00000004", .sectionInstance),
    ("04 00000004 03 72616d 00000001 00000004", .sectionInstance),
    ("04 00000004 00 00000000 00000001", .sectionName),
    ("02 00000009", .sectionID), ("03 00000003", .sectionOrder), ("02 00000003", .sectionOrder),
    ("05 03 646576", .sectionType), ("06 00000002 7b7d", .sectionType), ("07", .sectionType),
    ("7e 00000003", .sectionType), ("09", .sectionType), ("ff", .sectionType),
    ("08 0000 0000", .command), ("08 000c 0000", .command), ("08 000b 0001 00", .command),
    ("08 0002 0003 000000", .command), ("08 0007 0004 00000001", .streamTruncated),
    ("00 06 7fffffff", .vmdescriptionSyntax), ("00 01", .streamTrailing),
    ("00 06 00000002 7b7d 0001", .streamTrailing),
    ("04 00000009 03 646576 00000000 00000001 7e 00000009 ff", .streamTruncated),
  ])
  func aRecordOutOfPlaceIsRefused(record: String, code: ErrorCode) throws {
    let rest = try #require(Hex.decode(record.filter { $0 != " " }))
    let refusal = #expect(throws: MigrationError.self) {
      try SmallStreams.walk(Array(SmallStreams.written.dropLast()) + rest)
    }
    #expect(refusal?.code == code)
  }

  /// Beginnings of a stream: the code.
  @Test(arguments: [
    ("5145564e 00000003", ErrorCode.streamMagic), ("5145564d 00000002", .streamVersion),
    ("5145564d 00000003 07 00000100", .configuration),
    ("5145564d 00000003 07 00000000 05 01 78 00000001", .configuration),
    (
      "5145564d 00000003 07 00000000 05 12 636f6e66696775726174696f6e2f75756964 00000002"
        + String(repeating: "00", count: 16), .configuration
    ),
    (
      "5145564d 00000003 07 00000000 05 1a 636f6e66696775726174696f6e2f6361706162696c6974696573"
        + "00000001 00000001 0a 6d61707065642d72616d", .inputKind
    ),
    (
      "5145564d 00000003 07 00000000 05 1e 636f6e66696775726174696f6e2f7461726765742d706167652d"
        + "62697473 00000001 00000011", .configuration
    ),
    (
      "5145564d 00000003 07 00000000 05 1a 636f6e66696775726174696f6e2f6361706162696c6974696573"
        + "00000001 ffffffff", .configuration
    ),
    ("5145564d 00000003 01 00000003 03 72616d 00000000 00000003", .sectionVersion),
  ])
  func aWrongBeginningIsRefused(text: String, code: ErrorCode) throws {
    let bytes = try #require(Hex.decode(text.filter { $0 != " " }))
    let refusal = #expect(throws: MigrationError.self) { try SmallStreams.walk(bytes) }
    #expect(refusal?.code == code)
  }

  /// Counts how often it is asked for bytes.
  private final class CountingSource: ByteSource {
    private let source: ArraySource
    private(set) var reads = 0

    init(_ bytes: [UInt8]) { source = ArraySource(bytes) }

    @unsafe func read(
      into buffer: UnsafeMutableRawBufferPointer
    ) throws(MigrationError) -> Int {
      reads += 1
      return try unsafe source.read(into: buffer)
    }
  }

  @Test func aLongBodyWithoutDescriptionIsReadInLargePieces() throws {
    var bytes = Array(SmallStreams.written.dropLast())
    bytes.append(SectionHeader(.full, id: 9, name: "long", version: 1))
    bytes += [UInt8](repeating: 0x7E, count: 3 << 20)
    bytes.append(StreamGrammar.Footer(id: 9))
    bytes.appendEOF()
    let source = CountingSource(bytes)
    var reader = QEMUStreamReader(StreamInput(source))
    while try reader.next() != .end {}
    #expect(source.reads < 50)
  }

  @Test func sectionsHaveALimit() throws {
    var table = SectionTable(limit: 2)
    for id: UInt32 in 1...2 {
      var header = SectionHeader(.full, id: id, name: "x", instance: id, version: 1)
      try table.open(&header)
    }
    var third = SectionHeader(.full, id: 3, name: "x", instance: 3, version: 1)
    let refusal = #expect(throws: MigrationError.self) { try table.open(&third) }
    #expect(refusal?.code == .sectionID)
  }

  @Test func aNameIsShownEscaped() {
    #expect(SectionName([0x61, 0x5C, 0x0A, 0xC3, 0x20])?.description == "a\\\\\\x0a\\xc3 ")
    #expect(SectionName([]) == nil)
    #expect(SectionName([UInt8](repeating: 0x61, count: 256)) == nil)
  }
}
