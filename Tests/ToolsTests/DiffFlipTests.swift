import JSON
import TestSupport
import Testing

/// The exit status 0 of `svsm-mig-diff` means that nothing differs.
@Suite struct DiffFlipTests {
  /// Flips of each stream, with keys and without.
  private static let flips = 6

  @Test(
    "No flipped bit of a golden stream is taken for no difference, with keys and without",
    arguments: GoldenStream.all)
  func noFlipIsEqual(stream: GoldenStream) throws {
    let shop = try Workshop()
    let whole = try stream.golden("stream.mig")
    try shop.write("whole", whole)
    try shop.write("there.svsm", Fixture.read("golden/destination.svsm"))
    // The streams differ, so that each has places of its own.
    var generator = Steps(seed: UInt64(whole.count))
    for _ in 0..<Self.flips {
      let place = Int.random(in: whole.indices, using: &generator)
      var bytes = whole
      bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      try shop.write("flipped", bytes)
      for keys in ["", " --instance @there.svsm"] {
        let outcome = try shop.run("diff", "@whole @flipped\(keys)")
        #expect(
          outcome.status == 1 || outcome.status == 65,
          "byte \(place)\(keys): \(outcome.status)\n\(outcome.text)\(outcome.errors)")
      }
    }
  }

  /// Flips of each plain stream.
  private static let plainFlips = 30

  @Test(
    "No flipped bit of a plain stream outside of its pages is taken for no difference",
    arguments: ["riscv64-72-virt", "s390x-72-virtio", "or1k-100-virt"])
  func noFlipOfAPlainStreamIsEqual(name: String) throws {
    let shop = try Workshop()
    let whole = try Fixture.read("qemu/\(name)/stream.xz")
    try shop.write("whole", whole)
    let shown = try shop.must("inspect", "@whole --json --sections").json
    var (places, bodies) = (Array(whole.indices), Set<Int>())
    for section in shown["sections"]?.array ?? [] {
      let start = try #require(section["bodyOffset"]?.uint.map { Int($0) })
      let size = try #require(section["size"]?.uint.map { Int($0) })
      if section["name"] == "ram" {
        places.removeAll { (start..<start + size).contains($0) }
      } else {
        bodies.formUnion(start..<start + size)
      }
    }
    let inBodies = bodies.sorted()
    var generator = Steps(seed: UInt64(whole.count))
    for index in 0..<Self.plainFlips {
      // Half of them in the state of devices, which is a small part of a stream.
      let place = try #require(
        index % 2 == 0
          ? inBodies.randomElement(using: &generator)
          : places.randomElement(using: &generator))
      var bytes = whole
      bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      try shop.write("flipped", bytes)
      // What is in a body must be found there, and not only as a byte of the file.
      let options = bodies.contains(place) ? " --ignore file" : ""
      let outcome = try shop.run("diff", "@whole @flipped\(options)")
      #expect(
        outcome.status == 1 || outcome.status == 65,
        "byte \(place)\(options): \(outcome.status)\n\(outcome.text)\(outcome.errors)")
    }
  }
}
