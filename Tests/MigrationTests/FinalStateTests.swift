import Cryptography
import Errors
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing
import Wire

/// What pieces of final state may say, of themselves and of each other, and when that is looked at.
@Suite struct FinalStateTests {
  private let destination: SVSMInstance

  init() throws { destination = try Lab.instance(1) }

  /// Both readers that have the keys say the same; so it is said once.
  private func refusal(of stream: [UInt8], location: SourceLocation = #_sourceLocation) throws
    -> MigrationError?
  {
    let scratch = try Scratch()
    var loaded: MigrationError?
    do {
      try Lab.load(stream, for: destination, to: scratch["out"])
    } catch {
      loaded = error as? MigrationError
    }
    let input = StreamInput(ArraySource(stream))
    let verified = try Lab.verifier().verify(input, for: destination).refusal
    #expect(verified == loaded, sourceLocation: location)
    return loaded
  }

  private func keyless(_ stream: [UInt8]) throws -> MigrationError? {
    try Lab.verifier().verify(StreamInput(ArraySource(stream))).refusal
  }

  @Test(arguments: ["snp-vcpu", "snp-page-states"] as [SectionName])
  func nothingIsSaidOfAFinalRecordBeforeItsTag(name: SectionName) throws {
    let guest = try SmallGuest.make([(.validated, 1), (.shared, 2)])
    let whole = try SectionPieces(Lab.save(guest, to: destination))
    let piece = whole.index(of: name, .full)
    let body = Int(whole.pieces[piece].header.offset) + 14 + name.bytes.count
    // All of the fixed part but the length, which is read before.
    for byte in 0..<FinalRecord.Layout.size
    where !FinalRecord.Layout.range(of: \.length).contains(byte) {
      var stream = whole.stream
      stream[body + byte] ^= 0x41
      let refused = try refusal(of: stream)
      #expect(refused?.code == .finalTag, "byte \(byte)")
      #expect(refused?.offset == UInt64(body))
      #expect(try keyless(stream)?.code != .finalTag)
    }
  }

  // MARK: What a source does not let out

  /// What an SVSM holds of a guest with a secrets page at 0x1000.
  private func state(vcpuLevels: [UInt8]) throws -> TrustedGuestState {
    var state = try SmallGuest.make([(.shared, 1), (.secrets, 0)]).trustedState()
    let first = try VMSA(state.vcpus[0].vmsa)
    state.vcpus = try vcpuLevels.enumerated().map { index, level in
      var vmsa = first
      vmsa.vmpl = level
      return try VCPUState(apicID: UInt32(index), vmpl: level, vmsa: vmsa.bytes)
    }
    return state
  }

  private func source(_ state: TrustedGuestState) throws -> SourceSVSM {
    try SourceSVSM(
      instance: Lab.instance(2, chip: 1), guest: state, validating: destination.offer,
      trust: Lab.trust, isMutual: true, random: .seeded([3]))
  }

  @Test func vCPUsAtTwoLevelsDoNotLeave() throws {
    #expect(refusalCode { _ = try source(state(vcpuLevels: [2, 3])) } == .vcpuVMPL)
    #expect(refusalCode { _ = try source(state(vcpuLevels: [3, 3])) } == nil)
  }

  /// Rows: what is put into the facts, and what a source says.
  @Test(arguments: [
    ("as it is", nil), ("level", ErrorCode.vcpuVMPL), ("over the guest", .secretsPage),
    ("partly over the guest", .secretsPage), ("beyond", .secretsPage), ("wraps", .secretsPage),
    ("calling area inside", .secretsPage), ("calling area unaligned", .secretsPage), ("none", nil),
  ])
  func aSecretsPageThatDisagreesDoesNotLeave(what: String, code: ErrorCode?) throws {
    var facts = SecretsPageFacts()
    (facts.svsmBase, facts.svsmSize, facts.svsmCallingArea) = (0x80_0000_0000, 16 << 20, 0x3000)
    facts.guestVMPL = 2
    switch what {
    case "level": facts.guestVMPL = 1
    case "over the guest": facts.svsmBase = 0
    case "partly over the guest": (facts.svsmBase, facts.svsmSize) = (0x1fff, 1)
    case "beyond": facts.svsmBase = 1 << 52
    case "wraps": facts.svsmSize = .max
    case "calling area inside": facts.svsmCallingArea = 0x80_0000_1000
    case "calling area unaligned": facts.svsmCallingArea = 0x3001
    case "none": (facts.svsmBase, facts.svsmSize) = (0, 0)
    default: break
    }
    let zeros = [UInt8](repeating: 0, count: 32)
    let page = try SecretsPage(
      fms: 0, gosvw: Array(zeros.prefix(16)), vmpcks: [zeros, zeros, zeros, zeros], facts: facts)
    var svsm = try source(state(vcpuLevels: [2, 2]))
    _ = try svsm.closeEpoch(isLast: true)
    var emitted = 0
    let said = refusalCode {
      try svsm.packageFinalState(secretsPage: page.bytes) { _, _ in emitted += 1 }
    }
    #expect(said == code)
    // Nothing at all has left of what is refused: it is not even begun.
    #expect(emitted == (code == nil ? 4 : 0))
  }

  // MARK: What needs no key

  @Test func memoryThatIsMappedNowhereIsMissedWithoutKeys() throws {
    let size: UInt64 = 2 * 4096
    let blocks = [try RAMBlock(name: "pc.ram", size: size), try RAMBlock(name: "rom", size: 4096)]
    let run = PageRun(gpa: 0, pages: 2, state: .validated, permissions: .guestDefault)
    var isPrivate = GPARangeSet()
    isPrivate.insert(try GPARange(start: 0, end: size))
    let guest = try TemporaryMemory(blockSizes: blocks.map(\.size)).guest(
      GuestDescription(
        machine: "pc-q35-10.0", ramBlocks: blocks,
        map: GuestMap([MappedRange(block: 0, offset: 0, gpa: 0, size: size)], blocks: blocks),
        attributes: isPrivate, pageStates: PageStateMap(joining: [run]),
        vcpus: [GuestReader.resetVCPU()], services: []))
    var lying = try ResealedStream(Lab.save(guest, to: destination))
    #expect(try keyless(lying.sealed()) == nil)
    try lying.removeShared(epoch: 1)
    let stream = try lying.sealed()
    let missed = try refusal(of: stream)
    #expect(missed?.code == .mapMissingPage && missed?.got == "rom offset 0x0")
    #expect(try keyless(stream) == missed)
  }
}
