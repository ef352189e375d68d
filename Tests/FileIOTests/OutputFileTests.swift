import Errors
import FileIO
import FoundationEssentials
import Glibc
import TestSupport
import Testing
import Wire

@Suite struct OutputFileTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test func nothingAppearsBeforeCommit() throws {
    let output = try OutputFile(scratch["out"])
    try output.write(text: "half")
    #expect(try !scratch.names.contains("out"))
    try output.write([UInt8]("whole".utf8))
    try output.commit()
    #expect(try scratch.names == ["out"])
    #expect(try scratch.text("out") == "halfwhole")
  }

  @Test func positionedWritesMayLeaveHoles() throws {
    let output = try OutputFile(scratch["out"])
    try output.resize(to: 10)
    try output.write([1, 2].span, at: 7)
    try output.commit()
    #expect(try readSmallFile(scratch["out"], limit: 10) == [0, 0, 0, 0, 0, 0, 0, 1, 2, 0])
  }

  @Test func anUnfinishedOutputLeavesNothing() throws {
    do {
      let output = try OutputFile(scratch["out"])
      try output.write(text: "half")
      #expect(try scratch.names.count == 1)
    }
    #expect(try scratch.names == [])
    let output = try OutputFile(scratch["out"])
    output.discard()
    #expect(try scratch.names == [])
    let error = #expect(throws: MigrationError.self) { try output.commit() }
    #expect(error?.code == .internal)
  }

  @Test func anExistingFileNeedsForce() throws {
    let path = try scratch.write("out", "old")
    let error = #expect(throws: MigrationError.self) { try OutputFile(path) }
    #expect(error?.code == .outputExists)
    let output = try OutputFile(path, force: true)
    try output.write(text: "new")
    #expect(try scratch.text("out") == "old")
    try output.commit()
    #expect(try scratch.text("out") == "new")
    #expect(try scratch.names == ["out"])
  }

  @Test func aFileThatAppearsMeanwhileIsNotReplaced() throws {
    let output = try OutputFile(scratch["out"])
    try output.write(text: "new")
    try scratch.write("out", "other")
    let error = #expect(throws: MigrationError.self) { try output.commit() }
    #expect(error?.code == .outputExists)
    #expect(try scratch.names == ["out"])
    #expect(try scratch.text("out") == "other")
  }

  @Test(arguments: [false, true]) func aFolderIsNotReplacedByAFile(force: Bool) throws {
    let error = #expect(throws: MigrationError.self) {
      try OutputFile(scratch.folder("out"), force: force)
    }
    #expect(error?.code == .outputExists)
    #expect(try scratch.names == ["out"])
  }

  @Test func aMissingFolderIsNamed() {
    let path = scratch["none/out"]
    #expect(
      throws: MigrationError(.outputCreate, "cannot create \(path): No such file or directory")
    ) { try OutputFile(path) }
  }

  @Test(arguments: ["", "/", ".."]) func whatIsNoFileNameIsRefused(path: String) {
    let error = #expect(throws: MigrationError.self) { try OutputFile(path) }
    #expect(error?.code.exitStatus == 73)
  }

  @Test func theLongestNameThereIsWorks() throws {
    let name = String(repeating: "ü", count: 127)
    let output = try OutputFile(scratch[name])
    try output.commit()
    #expect(try scratch.names == [name])
  }

  @Test func aLinkIsFollowedAndStays() throws {
    try scratch.folder("elsewhere")
    try scratch.write("elsewhere/real", "old")
    try FileManager.default.createSymbolicLink(
      atPath: scratch["out"], withDestinationPath: "elsewhere/real")
    let output = try OutputFile(scratch["out"], force: true)
    try output.write(text: "new")
    try output.commit()
    #expect(try scratch.text("elsewhere/real") == "new")
    #expect(
      try FileManager.default.destinationOfSymbolicLink(atPath: scratch["out"]) == "elsewhere/real")
  }

  @Test func aPrivateFileIsReadableByItsOwnerOnly() throws {
    try OutputFile(scratch["private"], permissions: .private).commit()
    try OutputFile(scratch["public"], permissions: .public).commit()
    #expect(try scratch.mode("private") == 0o600)
    // The umask of the run decides what is left of 0644.
    #expect(try scratch.mode("public") & ~0o644 == 0)
    #expect(try scratch.mode("public") & 0o600 == 0o600)
  }

  @Test func aFileIsPrivateFromItsFirstByte() throws {
    let output = try OutputFile(scratch["out"], permissions: .private)
    let temporary = try #require(try scratch.names.first)
    #expect(try scratch.mode(temporary) == 0o600)
    #expect(temporary.hasPrefix(".out.partial-"))
    output.discard()
  }

  @Test func aFullDeviceIsAnError() throws {
    let output = try OutputFile("/dev/full")
    #expect(
      throws: MigrationError(.writeFailed, "cannot write /dev/full: No space left on device")
    ) { try output.write(text: "x") }
  }

  @Test func aDeviceIsWrittenDirectly() throws {
    let output = try OutputFile("/dev/null")
    try output.write(text: "x")
    try output.commit()
    #expect(FileManager.default.fileExists(atPath: "/dev/null"))
  }

  @Test func aClosedPipeIsAnError() throws {
    TerminationCleanup.install()
    let path = scratch["fifo"]
    try #require(unsafe mkfifo(path, 0o600) == 0)
    // A reader that is there for the open and gone for the write.
    let reader = unsafe open(path, O_RDONLY | O_NONBLOCK)
    let output = try OutputFile(path)
    close(reader)
    #expect(
      throws: MigrationError(.writeFailed, "cannot write \(path): Broken pipe")
    ) { try output.write(text: "x") }
  }

  @Test func aFifoHasNoPositions() throws {
    let path = scratch["fifo"]
    try #require(unsafe mkfifo(path, 0o600) == 0)
    let reader = unsafe open(path, O_RDONLY | O_NONBLOCK)
    defer { close(reader) }
    let output = try OutputFile(path)
    let error = #expect(throws: MigrationError.self) { try output.write([1].span, at: 0) }
    #expect(error?.code == .writeFailed)
    try output.commit()
  }

  @Test func inputAndOutputMayNotBeOneFile() throws {
    let path = try scratch.write("a", "x")
    let other = try scratch.write("b", "x")
    try FileManager.default.linkItem(atPath: path, toPath: scratch["hard"])
    try FileManager.default.createSymbolicLink(atPath: scratch["soft"], withDestinationPath: "a")
    let input = try InputFile(path)
    for same in [path, scratch["hard"], scratch["soft"], "\(scratch.path)/./a"] {
      let error = #expect(throws: MigrationError.self) {
        try refuseSame(input.identity, as: same)
      }
      #expect(error?.code == .outputSame)
    }
    try refuseSame(input.identity, as: other)
    try refuseSame(input.identity, as: scratch["new"])
    try refuseSame(try InputFile("/dev/null").identity, as: "/dev/null")
  }

  @Test(
    "A signal that ends the process removes what is unfinished",
    arguments: [SIGTERM, SIGUSR1, SIGALRM, SIGXCPU])
  func aSignalRemovesWhatIsUnfinished(number: CInt) async throws {
    let path = scratch.path
    await #expect(processExitsWith: .signal(number)) {
      [path = path as String, number = number as CInt] in
      TerminationCleanup.install()
      let file = try OutputFile("\(path)/file")
      let folder = try OutputFolder("\(path)/folder", marker: "m") { _ in true }
      try folder.create("m").write(text: "x")
      try file.write(text: "x")
      let made = try FileManager.default.contentsOfDirectory(atPath: path)
      guard made.count == 2 else { exit(1) }
      kill(getpid(), number)
      while true { sleep(1) }
    }
    #expect(try scratch.names == [])
  }
}
