import Errors
import JSON
import TestSupport
import Testing

/// What `svsm-mig-inspect` shows of epochs.
@Suite struct EpochToolTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    for name in ["destination.svsm", "root.pem"] {
      try shop.write(name, Fixture.read("golden/\(name)"))
    }
    try shop.write("stream", Fixture.read("golden/rounds/stream.mig"))
  }

  @Test("the table has what each epoch brought and cost, and the list what was sent most often")
  func theTableHasWhatEachEpochBrought() throws {
    let text = try shop.must("inspect", "@stream --epochs").text
    let table = """

      What came in each epoch
        epoch  bytes  share  private new  again  withdrawn  shared  shared zero  sent again
        1      82861  38.9%  12           0      0          8       2            0
        2      29152  13.7%  1            2      2          2       2            6
        3      24980  11.7%  1            1      2          2       0            4

      Pages sent again most often
        0x0000000000007000-0x0000000000007fff  pc.ram from 0x7000   1 page   2 times
        0x0000000000000000-0x0000000000001fff  pc.ram from 0x0      2 pages  2 times  at most 1 for one page

      """
    #expect(text.contains(table.dropFirst()))
    #expect(try !shop.must("inspect", "@stream").text.contains("What came in each epoch"))
    let keyed = try shop.must(
      "inspect", "@stream --epochs --instance @destination.svsm --trust @root.pem"
    ).text
    #expect(keyed.contains("withdrawn  zero  shared"))
  }

  @Test("runs of shared pages belong to one epoch each")
  func runsBelongToOneEpoch() throws {
    let json = try shop.must("inspect", "@stream --json").json
    let runs = try #require(json["sharedPages"]?["runs"]?.array)
    let sums = (1...3).map { epoch in
      runs.filter { $0["epoch"]?.int == epoch }.reduce(0) { $0 + ($1["pages"]?.int ?? 0) }
    }
    #expect(sums == [10, 4, 2])
    let text = try shop.must("inspect", "@stream --pages").text
    #expect(text.contains("block   offset"))
    #expect(text.contains("guest-physical  epoch  content  zero"))
  }

  @Test("a stream that is cut off has an epoch that is not closed")
  func anEpochIsNotClosed() throws {
    try shop.write("cut", Array(shop.read("stream").prefix(110_000)))
    let cut = try shop.run("inspect", "@cut --epochs")
    #expect(cut.status == 65)
    let rows = cut.text.split(separator: "\n").filter { $0.hasSuffix("  not closed") }
    #expect(rows.count == 1 && rows[0].hasPrefix("  2 "))
  }

  @Test("a plain stream marks no epochs")
  func aPlainStreamHasNoEpochs() throws {
    try shop.write("plain", Fixture.read("qemu/pc100-boot/stream.xz"))
    try shop.run("inspect", "@plain --epochs").requireRefusal(.streamKind)
  }
}
