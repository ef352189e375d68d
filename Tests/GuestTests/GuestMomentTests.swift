import Errors
import Guest
import SEVSNP
import TestSupport
import Testing

/// Moments within a stream, and guests that are the memory of one.
@Suite struct GuestMomentTests {
  @Test("a moment is an epoch, or a number of page records in one")
  func aMomentIsReadAndWritten() {
    for text in [
      "epoch:1", "epoch:4294967295", "epoch:2,pages:1", "epoch:7,pages:18446744073709551615",
    ] {
      #expect(GuestMoment(parsing: text)?.description == text)
    }
    for text in [
      "", "1", "epoch", "epoch:", "epoch:0", "epoch:-1", "epoch:+1", "epoch:4294967296", "epoch: 1",
      "epoch:1,", "epoch:1,pages:0", "epoch:1,pages:", "epoch:1,2", "epoch:1,pages:1,pages:1",
      "Epoch:1", "epoch:1,pages:18446744073709551616", "pages:1", "epoch:1:2", "epoch:\u{664}",
    ] {
      #expect(GuestMoment(parsing: text) == nil, "\(text)")
    }
  }

  private func make(
    _ moment: GuestMoment, vcpus: [VCPUState] = [], in scratch: Scratch
  ) throws {
    let block = try RAMBlock(name: "pc.ram", size: 0x2000)
    var guest = GuestDescription(
      machine: "pc-q35-10.0", ramBlocks: [block],
      map: try GuestMap([MappedRange(block: 0, offset: 0, gpa: 0, size: 0x2000)], blocks: [block]),
      attributes: try GPARangeSet(parsing: "0x1000-0x1fff"),
      pageStates: try PageStateMap(joining: [
        PageRun(gpa: 0, pages: 1, state: .shared),
        PageRun(gpa: 0x1000, pages: 1, state: .validated),
      ]), vcpus: vcpus, services: [])
    guest.moment = moment
    try GuestWriter(scratch["guest"]).begin(blockSizes: [0x2000]).finish(guest)
  }

  @Test("an incomplete guest is refused as a guest, and read by who asks for it")
  func anIncompleteGuestIsRefused() throws {
    for moment in [GuestMoment(epoch: 3), GuestMoment(epoch: 1, pageRecords: .max)] {
      let scratch = try Scratch()
      try make(moment, in: scratch)
      #expect(
        refusalCode { _ = try GuestReader(bundle: scratch["guest"]) } == .guestIncomplete)
      let read = try GuestReader(bundle: scratch["guest"], acceptsIncomplete: true).description
      #expect(read.moment == moment && read.pageStates.pages(in: .validated) == 1)
    }
  }

  @Test("readers that know no incomplete guests refuse its schema, and a moment is demanded")
  func theSchemaIsAnother() throws {
    let scratch = try Scratch()
    try make(GuestMoment(epoch: 3), in: scratch)
    let manifest = try scratch.text("guest/guest.json")
    #expect(!manifest.contains(GuestBundle.schema))
    try scratch.write("guest/guest.json", manifest.replacing("\"incomplete\"", with: "\"other\""))
    #expect(
      refusalCode { _ = try GuestReader(bundle: scratch["guest"], acceptsIncomplete: true) }
        == .guestManifest)
    try scratch.write("guest/guest.json", manifest.replacing("\"epoch\": 3", with: "\"epoch\": 0"))
    #expect(
      refusalCode { _ = try GuestReader(bundle: scratch["guest"], acceptsIncomplete: true) }
        == .guestManifest)
  }

  @Test("an incomplete guest has no vCPU")
  func anIncompleteGuestHasNoVCPU() throws {
    let scratch = try Scratch()
    let vcpu = try VCPUState(apicID: 0, vmpl: 2, vmsa: [UInt8](repeating: 0, count: 4096))
    #expect(
      refusalCode { try make(GuestMoment(epoch: 1), vcpus: [vcpu], in: scratch) } == .guestShape)
  }
}
