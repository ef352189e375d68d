import Errors
import FileIO
import Guest
import SEVSNP
import TestSupport
import Testing

@Suite struct RawImageTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test func aRawImageBecomesAGuest() throws {
    let path = try scratch.write("raw", String(repeating: "x", count: 0x4000))
    var options = RawImageOptions()
    options.below4G = 0x3000
    options.privateRanges = try GPARangeSet(parsing: "0x1000-0x2fff")
    let reader = try GuestReader(rawImage: path, options)
    let guest = reader.description
    #expect(guest.ramBlocks == [try RAMBlock(name: "pc.ram", size: 0x4000)])
    #expect(guest.map.addresses.description == "0x0-0x2fff,0x100000000-0x100000fff")
    #expect(guest.attributes.description == "0x1000-0x2fff")
    #expect(guest.pageStates.firstDisagreement(with: [0x1000..<0x3000]) == nil)
    #expect(
      Array(guest.pageStates.runs) == [
        PageRun(gpa: 0, pages: 1, state: .shared),
        PageRun(gpa: 0x1000, pages: 2, state: .validated, permissions: .guestDefault),
        PageRun(gpa: 0x1_0000_0000, pages: 1, state: .shared),
      ])
    #expect(guest.vcpus.map(\.apicID) == [0])
    let vmsa = try VMSA(try #require(guest.vcpus.first).vmsa)
    #expect(vmsa.rip == 0xfff0)
    #expect(vmsa.vmpl == 2)
    var bytes = [UInt8](repeating: 0, count: 0x1000)
    var span = bytes.mutableSpan
    try reader.read(gpa: 0x1_0000_0000, into: &span)
    #expect(bytes.allSatisfy { $0 == UInt8(ascii: "x") })
  }

  @Test(arguments: ["0x1000-0x3fff", "0x100001000+4K", "0xffffffffff000+4K"])
  func aPrivateRangeWithoutMemoryIsRefused(text: String) throws {
    let path = try scratch.write("raw", String(repeating: "x", count: 0x4000))
    var options = RawImageOptions()
    options.below4G = 0x3000
    options.privateRanges = try GPARangeSet(parsing: text)
    #expect(refusalCode { _ = try GuestReader(rawImage: path, options) } == .guestMap)
  }

  @Test(arguments: ["", "x", "a page and more"]) func anImageIsInWholePages(start: String) throws {
    let tail = start.utf8.count > 1 ? String(repeating: "x", count: 0x1000) : ""
    let path = try scratch.write("raw", start + tail)
    let error = #expect(throws: MigrationError.self) { try GuestReader(rawImage: path) }
    #expect(error?.code == .guestShape)
  }

  @Test func aDeviceIsNoImage() {
    let error = #expect(throws: MigrationError.self) { try GuestReader(rawImage: "/dev/zero") }
    #expect(error?.code == .inputKind)
  }

  @Test func aRawImageIsWrittenWhole() throws {
    let image = try RawImageWriter(scratch["raw"], size: 0x2000)
    try image.write(block: 0, at: 0x1ffe, [1, 2].span)
    #expect(try !scratch.names.contains("raw"))
    try image.commit()
    let bytes = try readSmallFile(scratch["raw"], limit: 0x2000)
    #expect(bytes == [UInt8](repeating: 0, count: 0x1ffe) + [1, 2])
    let error = #expect(throws: MigrationError.self) { try RawImageWriter("-", size: 0x1000) }
    #expect(error?.code == .outputCreate)
  }

  @Test(arguments: [("none", "ram"), ("microvm", "microvm.ram"), ("pc-i440fx-7.2", "pc.ram")])
  func theBlockBearsTheNameThatTheMachineGivesIt(machine: String, name: String) throws {
    let scratch = try Scratch()
    var options = RawImageOptions()
    options.machine = machine
    let path = try scratch.write("ram", [UInt8](repeating: 1, count: 8192))
    #expect(try GuestReader(rawImage: path, options).description.ramBlocks.map(\.name) == [name])
  }
}
