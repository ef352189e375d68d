import Errors
import FileIO
import TestSupport
import Testing

@Suite struct InputFileTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test func whatCannotBeOpenedIsNamedWithItsReason() {
    let path = scratch["missing"]
    #expect(
      throws: MigrationError(.inputOpen, "cannot open \(path): No such file or directory")
    ) { try InputFile(path) }
  }

  @Test func aFolderIsNoInput() {
    let error = #expect(throws: MigrationError.self) { try InputFile(scratch.path) }
    #expect(error?.code == .inputKind)
    #expect(error?.got == "a folder")
  }

  @Test func controlCharactersOfANameStayOnOneLine() {
    let error = #expect(throws: MigrationError.self) { try InputFile(scratch["a\nb\u{1b}[1m"]) }
    #expect(error?.what.description.contains("a\\x0ab\\x1b[1m") == true)
    #expect(error?.what.description.contains("\n") == false)
  }

  @Test func aRegularFileHasSizeAndIdentity() throws {
    let path = try scratch.write("a", "hello")
    let file = try InputFile(path)
    #expect(file.kind == .regular)
    #expect(file.size == 5)
    #expect(file.identity != nil)
    #expect(file.identity == FileIdentity.ofOutput(path))
    #expect(try file.regularSize() == 5)
  }

  @Test func aDeviceHasNoSize() throws {
    let file = try InputFile("/dev/zero")
    #expect(file.kind == .characterDevice)
    #expect(file.size == nil)
    let error = #expect(throws: MigrationError.self) { try file.regularSize() }
    #expect(error?.code == .inputKind)
  }

  @Test func sequentialReadsGoToTheEnd() throws {
    let file = try InputFile(try scratch.write("a", "hello"))
    var buffer = [UInt8](repeating: 0, count: 4)
    var span = buffer.mutableSpan
    #expect(try file.readFully(into: &span) == 4)
    #expect(try file.readFully(into: &span) == 1)
    #expect(try file.read(into: &span) == 0)
    #expect(buffer == Array("oell".utf8))
  }

  @Test func positionedReadsLeaveTheSequentialPlaceAlone() throws {
    let file = try InputFile(try scratch.write("a", "hello"))
    var buffer = [UInt8](repeating: 0, count: 2)
    var span = buffer.mutableSpan
    try file.read(at: 3, into: &span)
    #expect(try file.read(into: &span) == 2)
    #expect(buffer == Array("he".utf8))
  }

  /// Rows: where 4 bytes are asked of a file of 5, and the byte that is missing first.
  @Test(arguments: [
    (at: UInt64(2), missing: UInt64(5)), (5, 5), (1 << 40, 1 << 40),
    (1 << 63, 1 << 63), (.max, .max), (UInt64(Int64.max) - 1, UInt64(Int64.max) - 1),
  ])
  func aPositionedReadBehindTheEndIsRefused(at: UInt64, missing: UInt64) throws {
    let file = try InputFile(try scratch.write("a", "hello"))
    var buffer = [UInt8](repeating: 0, count: 4)
    let error = #expect(throws: MigrationError.self) {
      var span = buffer.mutableSpan
      try file.read(at: at, into: &span)
    }
    #expect(error?.code == .readFailed)
    #expect(error?.offset == missing)
  }

  @Test func anEmptyFileIsReadToItsEnd() throws {
    #expect(try readSmallFile(try scratch.write("empty", ""), limit: 0) == [])
    #expect(try readSmallFile("/dev/null", limit: 10) == [])
  }

  @Test(arguments: [(4, false), (5, true), (6, true)])
  func aSmallFileHasALimit(limit: Int, fits: Bool) throws {
    let path = try scratch.write("a", "hello")
    if fits {
      #expect(try readSmallFile(path, limit: limit) == Array("hello".utf8))
    } else {
      let error = #expect(throws: MigrationError.self) { try readSmallFile(path, limit: limit) }
      #expect(error?.code == .inputKind)
    }
  }

  @Test func anEndlessDeviceMeetsTheLimit() {
    let error = #expect(throws: MigrationError.self) {
      try readSmallFile("/dev/zero", limit: 100_000)
    }
    #expect(error?.code == .inputKind)
  }

  @Test func holesAreSkipped() throws {
    let output = try OutputFile(scratch["sparse"])
    try output.resize(to: 4 << 20)
    try output.write([UInt8](repeating: 7, count: 4096).span, at: 1 << 20)
    try output.commit()
    let file = try InputFile(scratch["sparse"])
    var covered: [Range<UInt64>] = []
    var next: UInt64 = 0
    while let extent = try file.nextData(from: next) {
      covered.append(extent)
      next = extent.upperBound
    }
    // A file system without holes reports the whole file; one with them much less than it.
    let written: Range<UInt64> = 1 << 20..<(1 << 20) + 4096
    #expect(covered.contains { $0.clamped(to: written) == written })
    #expect(covered.allSatisfy { $0.upperBound <= 4 << 20 })
    #expect(try file.nextData(from: 4 << 20) == nil)
    #expect(try file.nextData(from: .max) == nil)
  }
}
