import Errors
import JSON
import QEMUStream
import TestSupport
import Testing
import Wire

/// A file in memory that counts what is read of it.
private final class CountingFile: PositionedSource {
  var bytes: [UInt8]
  private(set) var bytesRead = 0
  /// The first byte of a hole that extends to the end.
  private let hole: UInt64

  init(_ bytes: [UInt8], hole: Int = .max) { (self.bytes, self.hole) = (bytes, UInt64(hole)) }

  var size: UInt64 { UInt64(bytes.count) }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw MigrationError(.readFailed, "file is shorter", at: offset)
    }
    bytesRead += buffer.count
    let bytes = bytes
    buffer.copy(bytes.span.extracting(Int(offset)..<Int(offset) + buffer.count), to: 0)
  }

  func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    let end = min(size, hole)
    return offset < end ? offset..<end : nil
  }
}

/// Internal snapshots of images that QEMU wrote (`Fixtures/qcow2/README.md`), and damaged ones.
@Suite struct QCow2Tests {
  private static func image(_ name: String) throws -> [UInt8] {
    try Fixture.read("qcow2/\(name).xz")
  }

  /// All bytes of a state that are stored, with holes as zeros while there are few.
  private func content(_ state: any PositionedSource, limit: UInt64 = 1 << 24) throws -> [UInt8] {
    guard state.size <= limit else { throw MigrationError(.imageData, "state is too long") }
    var bytes = [UInt8](repeating: 0, count: Int(state.size))
    var span = bytes.mutableSpan
    try state.read(at: 0, into: &span)
    return bytes
  }

  @Test func aStateIsTheStreamOfItsGuest() throws {
    let image = try QCow2Image(CountingFile(Self.image("v3-72")))
    let state = try image.state(of: image.snapshot("state"))
    let plain = try Fixture.read("qcow2/stream-of-v3-72.xz")
    #expect(try content(state) == plain)
    // Read in pieces from anywhere, it is the same.
    for (start, count) in [(0, 1), (65_535, 2), (131_000, 70_000), (plain.count - 3, 3)] {
      var piece = [UInt8](repeating: 0xEE, count: count)
      var span = piece.mutableSpan
      try state.read(at: UInt64(start), into: &span)
      #expect(piece[...] == plain[start..<start + count])
    }
    let input = StreamInput(state.source(from: 7))
    #expect(try input.readArray(100)[...] == plain[7..<107])
  }

  @Test func compressedClustersUnpackInAnyOrder() throws {
    for name in ["compressed-zlib-72", "compressed-zstd-72", "compressed-zlib-4k-72"] {
      let image = try QCow2Image(CountingFile(Self.image(name)))
      let state = try image.state(of: image.snapshot("state"))
      let whole = try content(state)
      for start in stride(from: whole.count - 100, to: 0, by: -29_989) {
        var piece = [UInt8](repeating: 0, count: 100)
        var span = piece.mutableSpan
        try state.read(at: UInt64(start), into: &span)
        #expect(piece[...] == whole[start..<start + 100], "\(name) \(start)")
      }
    }
  }

  @Test func aNameIsLookedForBeforeAnID() throws {
    let image = try QCow2Image(CountingFile(Self.image("several-72")))
    #expect(image.snapshots.map(\.name) == ["before update", "4", "disk only", "später"])
    #expect(try image.snapshot("4").id == "2")
    #expect(try image.snapshot("1").name == "before update")
    #expect(refusalCode { _ = try image.snapshot("5") } == .imageSnapshot)
    let disk = try image.snapshot("3")
    #expect(disk.stateSize == 0)
    #expect(refusalCode { _ = try image.state(of: disk) } == .imageSnapshot)
  }

  @Test func aNameThatSeveralHaveIsRefused() throws {
    var bytes = try Self.image("several-72")
    // A table of its own at the end: twice the entry "4", of which the second gets the id 5.
    let start = Int(try QCow2Image(CountingFile(bytes)).snapshots[1].offset)
    var second = Array(bytes[start..<start + 72])
    second[64] = UInt8(ascii: "5")
    var header: [UInt8] = []
    header.append(bigEndian: UInt32(2))
    header.append(bigEndian: UInt64(bytes.count))
    bytes += bytes[start..<start + 72] + second
    bytes.replaceSubrange(60..<72, with: header)
    let renamed = try QCow2Image(CountingFile(bytes))
    #expect(renamed.snapshots.map(\.id) == ["2", "5"])
    #expect(refusalCode { _ = try renamed.snapshot("4") } == .imageSnapshot)
    #expect(try renamed.snapshot("5").name == "4")
  }

  /// Bytes of the header that are changed: place, bytes, code.
  @Test(
    arguments: [
      (0, [0x52], .imageHeader), (7, [4], .imageHeader), (23, [8], .imageHeader),
      (23, [22], .imageHeader), (60, [0, 2, 0, 0], .imageHeader), (79, [0x20], .imageHeader),
      (79, [0x10], .imageData), (35, [1], .imageFormat), (79, [4], .imageFormat),
      (64, [0, 0, 0, 1], .streamTruncated),
    ] as [(Int, [UInt8], ErrorCode)])
  func aHeaderThatIsNotReadIsRefused(place: Int, changed: [UInt8], code: ErrorCode) throws {
    var bytes = try Self.image("v3-72")
    bytes.replaceSubrange(place..<place + changed.count, with: changed)
    let found = refusalCode {
      let image = try QCow2Image(CountingFile(bytes))
      _ = try image.state(of: image.snapshot("state"))
    }
    // Entries of another size are other entries: what they say is refused, or is nothing.
    if place == 79, changed == [0x10] {
      #expect(found == nil || found == code)
    } else {
      #expect(found == code)
    }
  }

  /// Where the tables of an image's first snapshot lie.
  private struct Tables {
    var l1: Int
    var firstTable: Int
    var l2: Int
    var clusterSize: Int

    init(_ bytes: [UInt8]) throws {
      func number(_ place: Int, _ size: Int) -> Int {
        bytes[place..<place + size].reduce(0) { $0 << 8 | Int($1) }
      }
      let entry = number(64, 8)
      l1 = number(entry, 8)
      clusterSize = 1 << number(20, 4)
      let coverage = clusterSize * clusterSize / 8
      firstTable = (number(24, 8) + coverage - 1) / coverage
      l2 = number(l1 + 8 * firstTable, 8) & 0x00ff_ffff_ffff_fe00
    }
  }

  @Test func aClusterServesOnce() throws {
    var bytes = try Self.image("v3-72")
    let tables = try Tables(bytes)
    bytes.replaceSubrange(tables.l2 + 8..<tables.l2 + 16, with: bytes[tables.l2..<tables.l2 + 8])
    #expect(try refusal(of: bytes) == .imageData)
    // An L2 table that is also a cluster of data.
    bytes = try Self.image("v3-72")
    let place = tables.l1 + 8 * tables.firstTable
    bytes.replaceSubrange(tables.l2 + 8..<tables.l2 + 16, with: bytes[place..<place + 8])
    #expect(try refusal(of: bytes) == .imageData)
  }

  @Test func compressedClustersDoNotOverlap() throws {
    var bytes = try Self.image("compressed-zlib-4k-72")
    let tables = try Tables(bytes)
    // Each is as long as can be.
    for entry in 0..<64 { bytes[tables.l2 + 8 * entry] |= 0x3f }
    #expect(try refusal(of: bytes) == .imageData)
  }

  private func refusal(
    of bytes: [UInt8], hole: Int = .max, named name: String = "state"
  ) throws -> ErrorCode? {
    let image = try QCow2Image(CountingFile(bytes, hole: hole))
    return refusalCode { _ = try image.state(of: image.snapshot(name)) }
  }

  /// Rows: size of a cluster, method, fewest bytes of a compressed cluster of that size.
  @Test(
    arguments: [
      (16, false, 64), (20, true, 36), (21, false, 2033), (21, true, 68),
    ] as [(Int, Bool, Int)])
  func compressedClustersHaveTheBytesTheyNeed(bits: Int, isZstd: Bool, least: Int) throws {
    let maker = QCow2Maker(clusterBits: bits, isZstd: isZstd)
    func image(_ count: Int) -> [UInt8] {
      // All of them begin in one sector, and none leaves it by what its entry says.
      let clusters = (0..<count).map { QCow2Maker.Cluster.compressed($0 % 64..<$0 % 64 + 1) }
      return maker.image(clusters, body: [UInt8](repeating: 1, count: 512))
    }
    // What is a hole of the file has room for none.
    let size = image(1).count
    for stored in [size, size / 4 * 3] {
      let room = stored / least
      #expect(try refusal(of: image(room), hole: stored, named: "x") == nil)
      #expect(try refusal(of: image(room + 1), hole: stored, named: "x") == .imageData)
    }
  }

  /// The entries name whole sectors, in which a neighbour may lie: that is no fault.
  @Test(arguments: [false, true])
  func compressedClustersOfOneSectorAreRead(isZstd: Bool) throws {
    let bits = isZstd ? 16 : 9
    let content = (0..<40).map { number in
      [UInt8](repeating: isZstd ? 0 : UInt8(number), count: 1 << bits)
    }
    var (body, clusters) = ([UInt8](), [QCow2Maker.Cluster]())
    for bytes in content {
      let packed = isZstd ? QCow2Maker.zeroFrame(bytes.count) : QCow2Maker.deflated(bytes)
      clusters.append(.compressed(body.count..<body.count + packed.count))
      body += packed
    }
    let maker = QCow2Maker(clusterBits: bits, isZstd: isZstd)
    let image = try QCow2Image(CountingFile(maker.image(clusters, body: body)))
    let state = try image.state(of: image.snapshot("x"))
    #expect(state.hasCompressedClusters)
    #expect(try self.content(state) == content.flatMap(\.self))
  }

  /// A state whose tables name next to nothing: it is holes, however long it is said to be.
  @Test func aLongStateCostsWhatIsStored() throws {
    var bytes = try Self.image("v3-512-72")
    let image = try QCow2Image(CountingFile(bytes))
    let entry = Int(image.snapshots[0].offset)
    func put(_ value: UInt64, _ size: Int, at place: Int) {
      for index in 0..<size {
        bytes[place + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (size - 1 - index)))
      }
    }
    // An L1 table of 4,000,000 entries after the end of the image, all of them zero but the first.
    let start = (bytes.count + 511) / 512 * 512
    let count = 4_000_000
    put(UInt64(start), 8, at: entry)
    put(UInt64(count), 4, at: entry + 8)
    put(UInt64(count - 4) * 512 * 64, 8, at: entry + 40)
    bytes += [UInt8](repeating: 0, count: start + 8 * count - bytes.count)
    let file = CountingFile(bytes)
    let changed = try QCow2Image(file)
    let state = try changed.state(of: changed.snapshot("state"))
    #expect(try state.nextData(from: 0) == nil)
    #expect(file.bytesRead < 3 * bytes.count)
    // One more entry than there are.
    put(UInt64(count) * 512 * 64, 8, at: entry + 40)
    #expect(try refusal(of: bytes) == .imageHeader)
    put(.max, 8, at: entry + 40)
    #expect(try refusal(of: bytes) == .imageHeader)
  }

  @Test func anImageThatIsCutOffIsRefused() throws {
    let bytes = try Self.image("v2-4k-100")
    func read(_ length: Int) throws -> [UInt8] {
      let image = try QCow2Image(CountingFile(Array(bytes.prefix(length))))
      return try content(image.state(of: image.snapshot("state")))
    }
    let whole = try read(bytes.count)
    for length in stride(from: 0, to: bytes.count, by: 14_999) {
      do {
        // What is cut off may be none of the state.
        #expect(try read(length) == whole, "\(length)")
        #expect(length > whole.count)
      } catch {
        let codes: [ErrorCode] = [.streamTruncated, .imageData, .imageHeader, .imageSnapshot]
        #expect((error as? MigrationError).map { codes.contains($0.code) } == true, "\(length)")
      }
    }
  }

  /// Damaged headers and tables, 2,000 of them by a seed: whatever is said, nothing crashes, and no more
  /// is read than a few times the file.
  @Test(arguments: [
    "v2-4k-100", "v3-512-72", "extended-16k-72", "several-100", "compressed-zlib-4k-72",
  ])
  func damagedTablesAreBounded(name: String) throws {
    let original = try Self.image(name)
    let pristine = try QCow2Image(CountingFile(original))
    let tables = try Tables(original)
    var areas = [0..<112, tables.l1..<tables.l1 + 512]
    for snapshot in pristine.snapshots {
      areas.append(Int(snapshot.offset)..<Int(snapshot.offset) + 72)
    }
    areas += [tables.l2..<min(tables.l2 + 1024, original.count)]
    var seed: UInt64 = 0x5eed
    func random(_ limit: Int) -> Int {
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(seed >> 33) % limit
    }
    var refused = 0
    for _ in 0..<400 {
      var bytes = original
      for _ in 0...random(3) {
        let area = areas[random(areas.count)].clamped(to: 0..<bytes.count)
        let place = area.lowerBound + random(area.count)
        switch random(4) {
        case 0: bytes[place] ^= UInt8(1 << random(8))
        case 1: bytes[place] = UInt8(random(256))
        case 2:
          let count = min(8, bytes.count - place)
          bytes.replaceSubrange(
            place..<place + count, with: repeatElement(random(2) == 0 ? 0xff : 0, count: count))
        default:
          let from = area.lowerBound + random(area.count)
          let count = min(8, bytes.count - max(place, from))
          bytes.replaceSubrange(place..<place + count, with: bytes[from..<from + count])
        }
      }
      let file = CountingFile(bytes)
      do {
        let image = try QCow2Image(file)
        #expect(file.bytesRead <= 3 * bytes.count)
        for snapshot in image.snapshots.prefix(8) {
          let before = file.bytesRead
          defer { #expect(file.bytesRead - before <= 6 * bytes.count) }
          let state: any PositionedSource
          do { state = try image.state(of: snapshot) } catch {
            #expect(error.code.isRefusal)
            refused += 1
            continue
          }
          try walk(state, limit: 4 * bytes.count)
        }
      } catch {
        #expect((error as? MigrationError)?.code.isRefusal == true, "\(error)")
        refused += 1
      }
    }
    #expect(refused > 50)
  }

  /// Reads what is stored of a state, from front to back.
  private func walk(_ state: any PositionedSource, limit: Int) throws {
    var (place, total) = (UInt64(0), 0)
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while let data = try state.nextData(from: place), total < limit {
      let count = Int(min(UInt64(buffer.count), data.upperBound - data.lowerBound))
      var span = buffer.mutableSpan
      var part = span._mutatingExtracting(0..<count)
      try state.read(at: data.lowerBound, into: &part)
      total += count
      place = data.lowerBound + UInt64(count)
    }
  }
}
