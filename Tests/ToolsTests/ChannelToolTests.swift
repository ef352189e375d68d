import Errors
import JSON
import TestSupport
import Testing

/// Multifd channels that need programs and devices which are not here (`Fixtures/channels`).
@Suite struct ChannelToolTests {
  private let shop: Workshop
  /// Of all memory, as QEMU's monitor saved it.
  private static let hash = "88742d2bc0dbd132b5252e84e6e3b27ba2321a3743dc81e60a140776b3bca8b3"

  init() throws { shop = try Workshop() }

  private func call(_ first: String, _ second: String) throws -> String {
    for name in ["main", first, second] {
      try shop.write(name, Fixture.read("channels/\(name).xz"))
    }
    return "@main --channel @\(first) --channel @\(second)"
  }

  @Test(
    "Pages are those that QEMU sent, whatever packed them",
    arguments: ["none", "qpl", "uadk", "qatzip"])
  func packedPagesAreRead(method: String) throws {
    let name = method == "none" ? "multifd" : method
    let call = try call("\(name)-0", "\(name)-1")
    let shown = try shop.must("inspect", "\(call) --ram-hashes --json").json
    #expect(shown["ramBlocks"]?.array?.first?["sha256"]?.string == Self.hash)
    let channel = try #require(shown["channels"]?.array?.first)
    #expect(channel["method"]?.string == method && channel["content"] == 22)
    #expect(try shop.must("verify", call).text.contains("proven         structure"))
  }

  @Test("Device state is shown as far as its heads go")
  func deviceStateIsShown() throws {
    let call = try call("vfio-0", "multifd-1")
    let shown = try shop.must("inspect", "\(call) --ram-hashes --json").json
    #expect(shown["ramBlocks"]?.array?.first?["sha256"]?.string == Self.hash)
    let channel = try #require(shown["channels"]?.array?.first)
    #expect(channel["deviceStateSize"] == 215 && channel["deviceStateOmitted"] == 0)
    let state = try #require(channel["deviceState"]?.array)
    #expect(
      state.first == [
        "device": "0000:00:05.0/vfio", "instance": 0, "size": 112, "index": 0, "kind": "data",
      ])
    #expect(state.map { $0["size"]?.int } == [112, 19, 32, 12, 40, 0])
    #expect(state[2]["kind"] == "configuration" && state[2]["index"] == 1)
    #expect(state[3]["instance"] == 3)
    // A later version, another device, no header.
    #expect(state.dropFirst(3).allSatisfy { $0["kind"]?.isNull == true })
    let text = try shop.must("inspect", call).text
    #expect(text.contains("configuration 1") && text.contains("215 bytes of device state"))
    #expect(try shop.must("verify", call).text.contains("proven         structure"))
  }
}
