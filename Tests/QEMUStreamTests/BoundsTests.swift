import Errors
import JSON
import QEMUStream
import Testing
import Wire

/// Inputs of a size that takes minutes where a reader looks for each thing among all others.
@Suite struct BoundsTests {
  private static let region: UInt64 = 2 << 20

  /// An assembly that knows one block of 4 TiB, and what reads on.
  private func sparse(
    _ pages: [UInt64]
  ) throws(MigrationError) -> (RAMAssembly, RAMDecoder, StreamInput) {
    let blocks = [RAMBlock(name: "pc.ram", length: 4 << 40)]
    var encoder = RAMEncoder(blocks: blocks)
    var bytes: [UInt8] = []
    encoder.appendBlockList(to: &bytes)
    for page in pages { encoder.append(RAMPage(block: 0, offset: page), to: &bytes) }
    encoder.appendEnd(to: &bytes)
    let input = StreamInput(ArraySource(bytes))
    var decoder = RAMDecoder()
    let assembly = RAMAssembly()
    for _ in 0..<pages.count + 2 {
      let record = try decoder.next(from: input)
      if record == .blockList { try assembly.begin(decoder, of: nil, into: nil) }
      try assembly.take(record, from: input, page: decoder.page)
    }
    return (assembly, decoder, input)
  }

  private func discard(_ ranges: [Range<UInt64>]) -> StreamCommand {
    var payload: [UInt8] = [0]
    payload.append(name: "pc.ram")
    payload.append(0)
    for range in ranges {
      payload.append(bigEndian: range.lowerBound)
      payload.append(bigEndian: range.upperBound - range.lowerBound)
    }
    return StreamCommand(.postcopyRAMDiscard, payload: payload)
  }

  /// Ten commands as long as can be, each of ranges over the whole block; then the same over a half that
  /// no page is in.
  @Test func discardsOfManyRangesCostNothingWhereNoPageIs() throws {
    let count: UInt64 = 20_000
    let (assembly, _, _) = try sparse((0..<count).map { $0 * Self.region })
    let total: UInt64 = 4 << 40
    let half = total / 2..<total
    for _ in 0..<10 { try assembly.discard(discard(Array(repeating: half, count: 4000))) }
    #expect(try assembly.missingPages(of: 0) == total / 4096 - count)
    // All but the first page of each second region.
    let odd = stride(from: Self.region, to: count * Self.region, by: 2 * Int(Self.region)).map {
      UInt64($0)..<UInt64($0) + 4096
    }
    for start in stride(from: 0, to: odd.count, by: 4000) {
      try assembly.discard(discard(Array(odd[start..<min(start + 4000, odd.count)])))
    }
    #expect(try assembly.missingPages(of: 0) == total / 4096 - count / 2)
    #expect(try assembly.firstMissing(of: 0) == 4096)
    for _ in 0..<10 { try assembly.discard(discard(Array(repeating: 0..<total, count: 4000))) }
    #expect(try assembly.missingPages(of: 0) == total / 4096)
    #expect(try assembly.firstMissing(of: 0) == 0)
  }

  @Test(arguments: [false, true]) func pagesAreCountedInWhateverOrderRegionsCome(isBackward: Bool)
    throws
  {
    var pages: [UInt64] = []
    for index in 0..<3000 as Range<UInt64> {
      let region = index &* 7919 % 3001
      pages += [region * Self.region + 8192, region * Self.region + 0x1F_F000]
    }
    let (assembly, _, _) = try sparse(isBackward ? pages.reversed() : pages)
    let total: UInt64 = (4 << 40) / 4096
    #expect(try assembly.missingPages(of: 0) == total - 6000)
    // From within one region to within another: one page of each is left, and all of the others.
    try assembly.discard(
      discard([100 * Self.region + 0x1F_F000..<200 * Self.region + 0x1F_F000]))
    let removed = Set(
      pages.filter {
        100 * Self.region + 0x1F_F000..<200 * Self.region + 0x1F_F000 ~= $0
      }
    ).count
    #expect(try assembly.missingPages(of: 0) == total - 6000 + UInt64(removed))
  }

  @Test func aBlockIsFoundByItsNameAtEveryPage() throws {
    let blocks = (0..<RAMDecoder.defaultBlockLimit).map { index in
      let name = String(repeating: "b", count: 200) + "\(index)"
      return RAMBlock(name: SectionName(Array(name.utf8)) ?? "x", length: 0x2000)
    }
    var bytes: [UInt8] = []
    RAMEncoder(blocks: blocks).appendBlockList(to: &bytes)
    let list = bytes.count
    let named = (0..<20_000).map { ($0 * 4093 + 4000) % blocks.count }
    for index in named {
      bytes.append(bigEndian: 0x1000 | RAMFlags.zero)
      bytes.append(name: blocks[index].name)
      bytes.append(0)
    }
    #expect(bytes.count > 20_000 * 200 && list > 0)
    let input = StreamInput(ArraySource(bytes))
    var decoder = RAMDecoder()
    #expect(try decoder.next(from: input) == .blockList)
    var wrong = 0
    for index in named
    where try decoder.next(from: input) != .zero(RAMPage(block: index, offset: 0x1000)) {
      wrong += 1
    }
    #expect(wrong == 0)
    #expect(decoder.index(of: blocks[77].name) == 77 && decoder.index(of: "b") == nil)
  }

  // MARK: Devices

  private func body(_ fields: [VMDescription.Field]) -> VMDescription.Body {
    VMDescription.Body("x", version: 1, fields: fields)
  }

  @Test func elementsOfNoBytesAreCountedOverAllSections() throws {
    let empty = body([.init("a", type: "uint8", size: 0, run: .array(60_000))])
    let none: [UInt8] = []
    var budget = ElementBudget(bytes: 0)
    let first = try empty.state(of: none.span, &budget)
    #expect(first.fields["a"]?.array?.count == 60_000)
    let refusal = #expect(throws: MigrationError.self) {
      try empty.state(of: none.span, &budget)
    }
    #expect(refusal?.code == .vmdescriptionSyntax)
    #expect(refusal?.what == "VM description has too many elements")
  }

  @Test func aSectionHasALimitOfElements() throws {
    let bytes = [UInt8](repeating: 7, count: ElementBudget.sectionLimit + 1)
    let long = body([.init("a", type: "uint8", size: 1, run: .array(UInt64(bytes.count)))])
    var budget = ElementBudget(bytes: 2 * bytes.count)
    let refusal = #expect(throws: MigrationError.self) {
      try long.state(of: bytes.span, &budget)
    }
    #expect(refusal?.code == .vmdescriptionSyntax)
    // The next section has room of its own.
    let shorter = body([
      .init("a", type: "uint8", size: 1, run: .array(UInt64(ElementBudget.sectionLimit)))
    ])
    let part = Array(bytes.dropLast())
    let state = try shorter.state(of: part.span, &budget)
    #expect(state.fields["a"]?.array?.count == part.count)
  }

  /// Names of a MiB in structs of no bytes: each is shown, and looked at, with each element.
  @Test(arguments: [0, 1] as [UInt64])
  func longNamesCountAsManyElements(count: UInt64) throws {
    let none: [UInt8] = []
    let name = String(repeating: "n", count: 1 << 20)
    let inner = body([.init(name, type: "uint8", size: 0, run: .array(count))])
    let outer = body([.init("s", type: "struct", size: 0, run: .array(60_000), body: inner)])
    let refusal = #expect(throws: MigrationError.self) { try outer.state(of: none.span) }
    #expect(refusal?.code == .vmdescriptionSyntax)
  }

  @Test func deepBytesAreNotCopiedAtEachLevel() throws {
    let bytes = [UInt8](repeating: 0x5A, count: 1 << 20)
    var field = VMDescription.Field("f", type: "buffer", size: 1 << 20)
    for _ in 0..<60 {
      field = VMDescription.Field("f", type: "tmp", size: 1 << 20, body: body([field]))
    }
    let state = try body([field]).state(of: bytes.span)
    #expect(state.fields["f"]?.string?.utf8.count == 3 * bytes.count - 1)
    #expect(state.described.count == 1)
  }

  /// Each section is looked up in a description of as many as a stream can have.
  @Test func aSectionIsFoundInALongDescription() throws {
    let devices = (0..<50_000).map { index in
      VMDescription.Device(name: "d\(index)", instance: 1, body: body([]))
    }
    let described = DescribedSections(VMDescription(devices: devices + [devices[3]]))
    for index in devices.indices {
      let name = try #require(SectionName(Array("d\(index)".utf8)))
      let found = described[SectionKey(name: name, instance: 1)]
      if found?.name != devices[index].name { Issue.record("section \(index)") }
    }
    #expect(described[SectionKey(name: "d3", instance: 0)] == nil)
  }

  // MARK: Sparse files

  /// 4 TiB of which the bitmap has one byte, and the pages two pages, that are no hole.
  private final class SparseFile: PositionedSource {
    static let bitmap: UInt64 = 1 << 20
    static let pages: UInt64 = 1 << 30
    static let length: UInt64 = 4 << 40
    let size = pages + length
    /// Stretches of data, and what each byte of them is.
    let data: [(range: Range<UInt64>, byte: UInt8)] = [
      (bitmap + 4096..<bitmap + 8192, 0x81),
      (pages + (4096 * 8 + 7) * 4096..<pages + (4096 * 8 + 8) * 4096, 5),
      (pages + (4096 * 12) * 4096 + 100..<pages + (4096 * 12) * 4096 + 200, 6),
    ]
    private(set) var bytesRead = 0

    func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
      bytesRead += buffer.count
      for index in buffer.indices {
        let place = offset + UInt64(index)
        buffer[index] = data.first { $0.range.contains(place) }?.byte ?? 0
      }
    }

    func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
      data.first { $0.range.upperBound > offset }.map {
        max($0.range.lowerBound, offset)..<$0.range.upperBound
      }
    }
  }

  private final class Written: RAMStore {
    var places: [UInt64: UInt8] = [:]
    func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
      for place in stride(from: 0, to: bytes.count, by: 4096) {
        places[offset + UInt64(place)] = bytes[place + 150]
      }
    }
    func read(
      block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
    ) throws(MigrationError) {}
  }

  @Test func holesOfAMappedFileAreNotRead() throws {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: SparseFile.length | RAMFlags.memorySize)
    bytes.append(name: "pc.ram")
    bytes.append(bigEndian: SparseFile.length)
    bytes.append(bigEndian: UInt32(1))
    bytes.append(bigEndian: UInt64(4096))
    bytes.append(bigEndian: SparseFile.bitmap)
    bytes.append(bigEndian: SparseFile.pages)
    let input = StreamInput(ArraySource(bytes))
    var decoder = RAMDecoder()
    decoder.listForm.isMapped = true
    #expect(try decoder.nextOrJump(from: input) == nil)
    #expect(try decoder.nextOrJump(from: input) == .blockList)
    let file = SparseFile()
    let store = Written()
    var told: [Bool: UInt64] = [:]
    var calls = 0
    let assembly = RAMAssembly(file: file) { _, count, isZero in
      told[isZero, default: 0] += count
      calls += 1
    }
    try assembly.begin(decoder, of: nil, into: store)
    try assembly.flush()
    #expect(told == [false: 8192, true: SparseFile.length / 4096 - 8192])
    #expect(calls < 20_000)
    // The bitmap's data, and two pages: all others are zero already.
    #expect(file.bytesRead == 3 * 4096)
    #expect(
      store.places == [(4096 * 8 + 7) * 4096: 5, 4096 * 12 * 4096: 6])
  }

  /// A state of CPR with as many descriptors as may be, all of them counted; with one more it is refused.
  @Test func descriptorsOfCPRAreKeptUpToALimit() throws {
    func state(of count: Int) -> [UInt8] {
      var descriptor: [UInt8] = [1]
      descriptor.append(bigEndian: UInt32(256))
      descriptor += [UInt8](repeating: 1, count: 255) + [0]
      descriptor.append(bigEndian: UInt32(1))
      descriptor.append(bigEndian: UInt32(7))
      var bytes = Array("QCPR".utf8)
      bytes.append(bigEndian: UInt32(1))
      for _ in 0..<count { bytes += descriptor }
      return bytes + [0]
    }
    let kept = CPRState.listLimit
    #expect(kept == 4096)
    for (count, omitted) in [(kept, 0), (kept + 1, 1), (CPRState.limit, CPRState.limit - kept)] {
      let found = try CPRState(StreamInput(ArraySource(state(of: count))))
      #expect(found.descriptors.count == kept)
      #expect(found.omitted == omitted, "\(count)")
      #expect(found.rest == 0)
    }
    let long = StreamInput(ArraySource(state(of: CPRState.limit + 1)))
    let error = #expect(throws: MigrationError.self) { _ = try CPRState(long) }
    #expect(error?.code == .sectionLength)
  }
}
