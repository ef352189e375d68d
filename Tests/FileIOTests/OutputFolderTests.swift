import Errors
import FileIO
import TestSupport
import Testing
import Wire

@Suite struct OutputFolderTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func open(_ path: String, force: Bool = false) throws -> OutputFolder {
    try OutputFolder(path, force: force, marker: "marker") { ["marker", "data"].contains($0) }
  }

  private func fill(_ folder: OutputFolder, _ text: String) throws {
    for name in ["marker", "data"] {
      let file = try folder.create(name)
      try file.write(text: text)
      try file.synchronize()
    }
  }

  @Test func aFolderAppearsWhole() throws {
    let folder = try open(scratch["out"])
    try fill(folder, "x")
    #expect(try !scratch.names.contains("out"))
    try folder.commit()
    #expect(try scratch.names == ["out"])
    #expect(try scratch.text("out/data") == "x")
  }

  @Test func anUnfinishedFolderLeavesNothing() throws {
    do {
      let folder = try open(scratch["out"])
      try fill(folder, "x")
    }
    #expect(try scratch.names == [])
  }

  @Test func anOldFolderIsReplacedAsAWhole() throws {
    try scratch.folder("out")
    try scratch.write("out/marker", "old")
    let error = #expect(throws: MigrationError.self) { try open(scratch["out"]) }
    #expect(error?.code == .outputExists)
    let folder = try open(scratch["out"], force: true)
    try fill(folder, "new")
    #expect(try scratch.text("out/marker") == "old")
    try folder.commit()
    #expect(try scratch.names == ["out"])
    #expect(try scratch.text("out/marker") == "new")
  }

  /// Rows: what stands in a folder that must not be replaced although force is given.
  @Test(arguments: [[], ["data"], ["marker", "diary.txt"], ["marker", ".hidden"]])
  func aForeignFolderIsNeverReplaced(content: [String]) throws {
    try scratch.folder("out")
    for name in content { try scratch.write("out/\(name)", "precious") }
    let error = #expect(throws: MigrationError.self) { try open(scratch["out"], force: true) }
    #expect(error?.code == .outputExists)
    #expect(try scratch.names == ["out"])
    #expect(
      try scratch.names(in: "out")
        == content.sorted())
  }

  @Test func aFileIsNotReplacedByAFolder() throws {
    let path = try scratch.write("out", "precious")
    let error = #expect(throws: MigrationError.self) { try open(path, force: true) }
    #expect(error?.code == .outputExists)
    #expect(try scratch.text("out") == "precious")
  }

  @Test func aFolderThatAppearsMeanwhileStays() throws {
    let folder = try open(scratch["out"])
    try fill(folder, "x")
    try scratch.folder("out")
    let error = #expect(throws: MigrationError.self) { try folder.commit() }
    #expect(error?.code == .outputExists)
    #expect(try scratch.names == ["out"])
  }

  @Test(arguments: ["../evil", "a/b", "..", ""]) func onlyPlainNamesAreMade(name: String) throws {
    let folder = try open(scratch["out"])
    let error = #expect(throws: MigrationError.self) { try folder.create(name) }
    #expect(error?.code == .internal)
  }

  @Test func oneNameIsMadeOnce() throws {
    let folder = try open(scratch["out"])
    _ = try folder.create("data")
    let error = #expect(throws: MigrationError.self) { try folder.create("data") }
    #expect(error?.code == .outputCreate)
  }
}
