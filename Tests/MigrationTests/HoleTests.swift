import Cryptography
import Errors
import FileIO
import Migration
import QEMUStream
import SVSM
import Testing
import Threads
import Wire

/// A file of a few stretches of data, all else holes. Counts the bytes that are read of it.
private final class HoleFile: PositionedSource, SparseOutput {
  private(set) var size: UInt64 = 0
  private(set) var bytesRead: UInt64 = 0
  /// In order; none touches the next.
  private var stretches: [(start: UInt64, bytes: [UInt8])] = []

  // MARK: Made

  func write(_ bytes: Span<UInt8>) {
    guard bytes.count > 0 else { return }
    if stretches.last.map({ $0.start + UInt64($0.bytes.count) }) != size {
      stretches.append((size, []))
    }
    stretches[stretches.count - 1].bytes.append(copying: bytes)
    size += UInt64(bytes.count)
  }

  func writeHole(_ count: UInt64) { size += count }

  /// The same file, with one byte of a hole stored and changed.
  func damaged(at place: UInt64) -> HoleFile {
    let copy = HoleFile()
    copy.size = size
    copy.stretches = stretches + [(place, [0xFF])]
    copy.stretches.sort { $0.start < $1.start }
    return copy
  }

  /// The same file, with all that `range` had in it gone.
  func emptied(_ range: Range<UInt64>) -> HoleFile {
    let copy = HoleFile()
    copy.size = size
    for (start, bytes) in stretches {
      let end = start + UInt64(bytes.count)
      let front = max(start, min(range.lowerBound, end)) - start
      let back = min(end, max(range.upperBound, start)) - start
      if front > 0 { copy.stretches.append((start, Array(bytes[..<Int(front)]))) }
      if start + back < end { copy.stretches.append((start + back, Array(bytes[Int(back)...]))) }
    }
    return copy
  }

  /// The first place behind `text` in the first stretch.
  func place(behind text: String) -> UInt64? {
    guard let first = stretches.first else { return nil }
    let (bytes, text) = (first.bytes, Array(text.utf8))
    let place = bytes.indices.first { bytes[$0...].starts(with: text) }
    return place.map { first.start + UInt64($0 + text.count) }
  }

  /// Bytes that are stored.
  var stored: UInt64 { stretches.reduce(0) { $0 + UInt64($1.bytes.count) } }

  /// All bytes, holes too.
  var bytes: [UInt8] {
    var all = [UInt8](repeating: 0, count: Int(size))
    for (start, bytes) in stretches {
      all.replaceSubrange(Int(start)..<Int(start) + bytes.count, with: bytes)
    }
    return all
  }

  // MARK: Read

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(MigrationError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw MigrationError(.readFailed, "file is shorter", at: offset)
    }
    bytesRead += UInt64(buffer.count)
    buffer.update(repeating: 0)
    for (start, bytes) in stretches {
      let first = max(start, offset)
      let end = min(start + UInt64(bytes.count), offset + UInt64(buffer.count))
      guard first < end else { continue }
      buffer.copy(
        bytes.span.extracting(Int(first - start)..<Int(end - start)), to: Int(first - offset))
    }
  }

  func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    let found = stretches.first { $0.start + UInt64($0.bytes.count) > offset }
    return found.map { max($0.start, offset)..<$0.start + UInt64($0.bytes.count) }
  }
}

/// Sparse mapped-ram streams: the work is that of what is stored, not of the size.
@Suite struct HoleTests {
  private static let chunk: UInt64 = 256 << 10
  /// Where the pages lie.
  private static let pages: UInt64 = 256 << 20
  /// Bytes that may be read of a file that stores a few KiB: each jump over a hole fills a window anew.
  private static let fewBytes: UInt64 = 16 << 20

  /// A block of `size` bytes: one hole, but for `content` from `place` on.
  private func stream(
    _ size: UInt64, _ content: [UInt8] = [], at place: UInt64 = 0, pages: UInt64 = Self.pages
  ) -> HoleFile {
    let file = HoleFile()
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "pc-q35-10.0", capabilities: ["mapped-ram"]))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    bytes.append(bigEndian: size | RAMFlags.memorySize)
    bytes.append(name: "pc.ram")
    bytes.append(bigEndian: size)
    bytes.append(bigEndian: UInt32(1))
    bytes.append(bigEndian: UInt64(4096))
    bytes.append(bigEndian: pages / 2)
    bytes.append(bigEndian: pages)
    file.write(bytes.span)
    file.writeHole(pages - file.size + place)
    file.write(content.span)
    file.writeHole(pages + size - file.size)
    bytes = []
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    bytes.append(bigEndian: RAMFlags.end)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.appendEOF()
    file.write(bytes.span)
    return file
  }

  private func seal(_ file: HoleFile) throws -> HoleFile {
    let sealed = HoleFile()
    var sealer = PlainSealer(
      QEMUStreamReader(StreamInput(file.source(from: 0)), file: file), RAMAssembly(file: file),
      to: sealed, crew: WorkCrew(jobs: 2))
    _ = try sealer.seal(signedBy: nil, progress: { _ in })
    return sealed
  }

  private func verify(_ file: HoleFile) throws -> VerificationReport {
    var verifier = PlainStreamVerifier(
      QEMUStreamReader(StreamInput(file.source(from: 0)), file: file), RAMAssembly(file: file),
      sealedBy: nil, crew: WorkCrew(jobs: 2))
    return try verifier.verify { $0 }
  }

  /// What refutes the seal.
  private func findings(_ file: HoleFile) throws -> [MigrationError] {
    guard case .refuted(let found, _) = try verify(file).outcome(of: .seal) else { return [] }
    return found.map(\.error)
  }

  private func isProven(_ file: HoleFile) throws -> Bool {
    if case .proven = try verify(file).outcome(of: .seal) { true } else { false }
  }

  // MARK: Streams

  @Test func aStreamWithoutSealIsVerifiedByWhatItStores() throws {
    let file = stream(4 << 40)
    #expect(try verify(file).refusal == nil)
    #expect(file.bytesRead < Self.fewBytes)
  }

  @Test func aSparseStreamIsSealedAndHeldByWhatItStores() throws {
    let content = [UInt8](repeating: 0x5A, count: 3 << 20)
    let file = stream(64 << 30, content, at: 0x7_0000_1000)
    let sealed = try seal(file)
    // 32 bytes for each chunk are the seal's own; what else is stored is rounded up to chunks.
    let leaves = sealed.size / Self.chunk * 32
    #expect(file.bytesRead < Self.fewBytes)
    #expect(sealed.size > 64 << 30 && sealed.stored < leaves + Self.fewBytes)
    #expect(try isProven(sealed))
    #expect(sealed.bytesRead < leaves + Self.fewBytes)
  }

  @Test func aSealDoesNotDependOnWhichZerosAreStored() throws {
    for place in [0, 1, 4096, 0x4_0000, 0x5_3000] as [UInt64] {
      let sparse = stream(
        2 << 20, [UInt8](repeating: 7, count: 0x6_1000), at: place, pages: 1 << 20)
      let full = HoleFile()
      full.write(sparse.bytes.span)
      #expect(full.stored == full.size && sparse.stored < sparse.size / 4)
      let (one, other) = (try seal(sparse), try seal(full))
      #expect(one.size == other.size && one.bytes == other.bytes)
      #expect(try isProven(one))
      #expect(try isProven(other))
    }
  }

  @Test func damageAmongHolesIsNamedByItsChunk() throws {
    let content = [UInt8](repeating: 0x5A, count: Int(4 * Self.chunk))
    let place = 40 * Self.chunk
    let sealed = try seal(stream(1 << 30, content, at: place))
    let first = Self.pages + place
    let one = try findings(sealed.damaged(at: first - 12345))
    #expect(one.map(\.code) == [.sealChunk])
    #expect(one.first?.offset == first - Self.chunk)
    // Four chunks that are equal, and all gone, are one finding.
    let gone = try findings(sealed.emptied(first..<first + 4 * Self.chunk))
    #expect(gone.map(\.code) == [.sealChunk])
    #expect(gone.first?.offset == first)
    #expect(
      gone.first?.what.description.contains(String(first + 4 * Self.chunk, radix: 16)) == true)
  }

  @Test func aSealWhoseLeavesAreAHoleIsRefusedByWhatItStores() throws {
    let file = stream(4 << 40)
    let covered = file.size
    let seal = try Seal(
      coveredLength: covered, root: [UInt8](repeating: 0, count: 32), trailer: [], signer: nil)
    file.write(seal.encoded.span)
    file.writeHole(seal.chunkCount * 32)
    let found = try findings(file)
    #expect(found.first?.code == .sealRoot)
    #expect(found.count < 8)
    #expect(file.bytesRead < Self.fewBytes)
  }

  @Test func aSealIsLookedForBehindHoles() throws {
    let sealed = try seal(stream(64 << 30))
    let leaves = sealed.size / Self.chunk * 32
    // The header of the block cannot be, with a page size of 0: nothing behind it can be followed.
    let header = try #require(sealed.place(behind: "pc.ram")) + 8
    let lost = sealed.emptied(header + 4..<header + 12)
    let report = try verify(lost)
    #expect(report.refusal?.code == .ramData)
    guard case .refuted(let found, _) = report.outcome(of: .seal) else {
      Issue.record("the seal was not found")
      return
    }
    #expect(found.map(\.error.code) == [.sealChunk] && found.first?.error.offset == 0)
    #expect(lost.bytesRead < leaves + Self.fewBytes)
  }

  @Test func whatHasNoEndIsPassedByUnread() throws {
    // Sections without footers and without a description; then a hole to the end.
    let file = HoleFile()
    var bytes: [UInt8] = []
    let ram = RAMEncoder(blocks: [RAMBlock(name: "pc.ram", length: 0x1000)])
    bytes.appendFileHeader()
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    ram.appendBlockList(to: &bytes)
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    bytes.append(bigEndian: UInt64(RAMFlags.zero))
    bytes.append(name: "pc.ram")
    bytes.append(0)
    ram.appendEnd(to: &bytes)
    bytes.append(SectionHeader(.full, id: 4, name: "timer", version: 2))
    file.write(bytes.span)
    file.writeHole(1 << 40)
    #expect(try verify(file).refusal == nil)
    #expect(file.bytesRead < Self.fewBytes)
  }

  // MARK: The tree

  /// RFC 6962, section 2.1, word for word.
  private func root(_ leaves: ArraySlice<[UInt8]>) throws -> [UInt8] {
    guard leaves.count > 1 else { return try leaves.first ?? SHA256.hash([] as [UInt8]) }
    var half = 1
    while half * 2 < leaves.count { half *= 2 }
    return try SHA256.hash([1] + root(leaves.prefix(half)) + root(leaves.dropFirst(half)))
  }

  @Test func aTreeOverRunsIsTheTreeOverTheirLeaves() throws {
    let kinds = (0..<3).map { [UInt8](repeating: UInt8($0), count: 32) }
    for first in 0..<20 as Range<UInt64> {
      for second in [0, 1, 2, 5, 8, 31] as [UInt64] {
        for third in [0, 1, 7, 64] as [UInt64] {
          var list = LeafList()
          var all: [[UInt8]] = []
          for (kind, count) in zip(kinds, [first, second, third]) {
            list.append(kind, count: count)
            all += Array(repeating: kind, count: Int(count))
          }
          #expect(list.count == UInt64(all.count))
          #expect(try HashTree.root(of: list) == root(all[...]))
          #expect(list.encoded == all.flatMap { $0 })
        }
      }
    }
  }
}
