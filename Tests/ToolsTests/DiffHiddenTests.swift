import JSON
import TestSupport
import Testing

/// What no field shows counts as well. `--ignore file` leaves out the comparison of the files byte by byte, so that
/// each difference has to be found where it is.
@Suite struct DiffHiddenTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  /// Compares two files that differ.
  private func diff(_ one: String, _ other: String) throws -> String {
    let outcome = try shop.run("diff", "@\(one) @\(other) --ignore file --ignore description")
    #expect(outcome.status == 1, "\(outcome.text)\(outcome.errors)")
    return outcome.text
  }

  /// The sections of a stream.
  private func sections(_ file: String) throws -> [JSON] {
    try shop.must("inspect", "@\(file) --json --sections").json["sections"]?.array ?? []
  }

  private func number(_ section: JSON, _ key: String) throws -> Int {
    try #require(section[key]?.uint.map { Int($0) })
  }

  /// Writes a stream of `Fixtures/qemu` as it is, and again with one bit changed.
  private func write(_ stream: [UInt8], flipping place: Int) throws {
    var other = stream
    other[place] ^= 1
    try shop.write("one", stream)
    try shop.write("other", other)
  }

  @Test("A bit of a section that comes in parts is a difference of this section")
  func partsAreCompared() throws {
    let stream = try Fixture.read("qemu/pc72-boot-dirty-bitmaps/stream.xz")
    try shop.write("one", stream)
    let last = try #require(
      sections("one").last { $0["name"] == "dirty-bitmap" && $0["type"] == "END" })
    try write(stream, flipping: number(last, "bodyOffset") + number(last, "size") - 9)
    #expect(try diff("one", "other").contains("section dirty-bitmap: sha256 "))
  }

  @Test("A subsection's version is a difference, although every field reads the same")
  func bytesThatNoFieldShowsAreCompared() throws {
    let stream = try Fixture.read("qemu/riscv64-72-virt/stream.xz")
    let name = Array("\u{5}\u{7}cpu/pmp".utf8)
    let start = try #require(
      stream.indices.first { stream[$0...].starts(with: name) })
    try write(stream, flipping: start + name.count + 3)
    let text = try diff("one", "other")
    #expect(text.contains("device cpu: bytes  1 byte from +0x"), "\(text)")
  }

  @Test("A reserved byte of a VMSA is a difference, by its offset")
  func reservedBytesAreCompared() throws {
    for name in ["one", "other"] {
      try shop.must("guest", "create -o @\(name) --memory 64K --vcpus 1 --seed 02")
    }
    var page = try shop.read("other/vcpu-0.vmsa")
    page[0xD9] ^= 1
    try shop.write("other/vcpu-0.vmsa", page)
    let text = try diff("one", "other")
    #expect(text.contains("vcpu 0: reserved+0xd8"), "\(text)")
  }

  @Test("A command's payload is a difference")
  func commandsAreCompared() throws {
    let stream = try Fixture.read("qemu/or1k-100-virt/stream.xz")
    try shop.write("one", stream)
    let place = try number(#require(sections("one").first), "offset")
    for (name, ping) in [("one", 5), ("other", 6)] as [(String, UInt8)] {
      let command: [UInt8] = [8, 0, 2, 0, 4, 0, 0, 0, ping]
      try shop.write(name, Array(stream[..<place]) + command + stream[place...])
    }
    let text = try diff("one", "other")
    #expect(text.contains("command 0: payload  00000005 → 00000006"), "\(text)")
  }
}
