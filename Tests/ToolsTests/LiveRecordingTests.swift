import Foundation
import JSON
import TestSupport
import Testing

/// The recording of a guest that a QEMU let go while it ran (`Fixtures/live/README.md`).
@Suite struct LiveRecordingTests {
  private let shop: Workshop
  private let recording = Fixture.path("live/recording.mig")
  private let trust = "--trust \(Fixture.path("live/root.pem"))"

  init() throws {
    shop = try Workshop()
    try shop.write("there.svsm", Fixture.read("live/destination.svsm"))
  }

  /// The first 4 bytes of each page that the guest rewrites, of the memory in a bundle.
  private func counters(_ guest: String) throws -> [UInt32] {
    let memory = try shop.read("\(guest)/ram-0.bin")
    return stride(from: 2 << 20, to: 3 << 20, by: 4096).map { page in
      memory[page..<page + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  @Test("It loads into the memory that QEMU had at the end")
  func theEndIsRight() throws {
    let facts = try JSON(parsing: Fixture.read("live/case.json"))
    let (start, size) = (Int(facts["start"]?.uint ?? 0), Int(facts["size"]?.uint ?? 0))
    try shop.must("load", "\(recording) --instance @there.svsm \(trust) --accept-seeded -o @guest")
    let memory = try shop.read("guest/ram-0.bin")
    try shop.write("memory", Array(memory[start..<start + size]))
    #expect(try Program.sha256(of: shop["memory"]) == facts["sha256"]?.string)
  }

  @Test("Each epoch replays to memory that the guest had: sums of its tick numbers, never fewer")
  func eachEpochIsAMoment() throws {
    let epochs = try shop.must("inspect", "\(recording) --json").json["epochs"]?.array?.count ?? 0
    try #require(epochs >= 3)
    let sums = Set((0..<200 as Range<UInt32>).map { $0 * ($0 + 1) / 2 })
    var before = [UInt32](repeating: 0, count: 256)
    var constant: ArraySlice<UInt8>?
    for epoch in 1...epochs {
      let guest = "epoch-\(epoch)"
      try shop.must(
        "load",
        "\(recording) --instance @there.svsm \(trust) --accept-seeded --until epoch:\(epoch) -o @\(guest)"
      )
      let found = try counters(guest)
      #expect(found.allSatisfy { sums.contains($0) }, "epoch \(epoch): \(found)")
      #expect(zip(found, before).allSatisfy { $0 >= $1 })
      #expect(Set(found).count <= 2, "epoch \(epoch): \(Set(found))")
      before = found
      let kept = try shop.read("\(guest)/ram-0.bin")[1 << 20..<2 << 20]
      #expect(kept == constant ?? kept)
      constant = kept
    }
    #expect(before.contains { $0 > 0 })
    // Nothing of this has used the instance.
    try shop.must("load", "\(recording) --instance @there.svsm \(trust) --accept-seeded -o @guest")
    #expect(try counters("guest") == before)
  }

  @Test(
    "What the tools say of it is golden, and the traces are the same with any number of threads")
  func whatIsSaidIsGolden() throws {
    let outcome = try shop.run("diff", "--golden \(Fixture.path("live"))")
    #expect(outcome.status == 0, "\(outcome.text)")
    for jobs in [1, 3] {
      try shop.must(
        "verify",
        "\(recording) --instance @there.svsm \(trust) --jobs \(jobs) --trace @trace-\(jobs)")
      #expect(try shop.read("trace-\(jobs)") == Fixture.read("live/verify.jsonl"))
    }
  }
}
