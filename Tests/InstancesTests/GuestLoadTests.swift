import Errors
import FileIO
import Import
import Instances
import Migration
import SEVSNP
import SVSM
import TestSupport
import Testing
import Threads

/// What a destination does on the disk, without a command line.
@Suite struct GuestLoadTests {
  private let scratch: Scratch
  private let trust: Trust

  init() throws {
    scratch = try Scratch()
    try scratch.write("instance", Fixture.read("golden/destination.svsm"))
    trust = Trust(
      anchors: try TrustAnchor.anchors(namedIn: [Fixture.path("golden/root.pem")]),
      time: WallClock.now)
  }

  private var instance: SVSMInstance {
    get throws { try InstanceFile(reading: scratch["instance"], .regular).instance }
  }

  private func load(_ stream: String, to output: String) throws -> LoadSummary {
    var options = DestinationSVSM.Options()
    options.acceptsSeeded = true
    let load = GuestLoad(
      by: try InstanceFile(reading: scratch["instance"], .regular), to: scratch[output],
      force: false, waiting: {})
    var live: LiveArrival?
    return try load.load(
      InputFile(stream), as: .bundle, live: &live, trusting: trust, options, WorkCrew(jobs: 1)
    ) { _ in }
  }

  @Test func anInstanceRestoresOneGuest() throws {
    let stream = Fixture.path("golden/tiny/stream.mig")
    #expect(try load(stream, to: "guest").privatePages > 0)
    #expect(scratch.exists("guest/guest.json"))
    #expect(try instance.stage == .imported)
    #expect(refusalCode { _ = try load(stream, to: "another") } == .instanceUsed)
    #expect(try scratch.names == ["guest", "instance"])
  }

  @Test func whatIsRefusedLeavesNothingAndUsesNothingUp() throws {
    let whole = try Fixture.read("golden/tiny/stream.mig")
    let stream = try scratch.write("cut", Array(whole.prefix(whole.count / 2)))
    #expect(throws: MigrationError.self) { try load(stream, to: "guest") }
    #expect(try instance.stage == .ready)
    #expect(try scratch.names == ["cut", "instance"])
  }

  @Test func whoGaveUpRestoresNothing() throws {
    let token = try LockedInstance.giveUp(scratch["instance"], nil) {}
    #expect(try token.isSigned(by: instance.offer.publicKey))
    #expect(try instance.stage == .aborted)
    let stream = Fixture.path("golden/tiny/stream.mig")
    #expect(refusalCode { _ = try load(stream, to: "guest") } == .instanceAborted)
  }
}
