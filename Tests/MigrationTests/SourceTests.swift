import Cryptography
import Errors
import FileIO
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing
import Wire

@Suite struct SourceTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func guest(size: Int, _ isPrivate: String) throws -> GuestReader {
    let file = try OutputFile(scratch["ram"])
    try file.resize(to: UInt64(size))
    try file.commit()
    var options = RawImageOptions()
    options.privateRanges = try GPARangeSet(parsing: isPrivate)
    return try GuestReader(rawImage: scratch["ram"], options)
  }

  private func source(_ guest: GuestReader) throws -> SourceSVSM {
    try SourceSVSM(
      instance: Lab.instance(2, chip: 1), guest: guest.trustedState(),
      validating: Lab.instance(1).offer, trust: Lab.trust, isMutual: true,
      random: .seeded([3]))
  }

  @Test(arguments: [
    (UInt64(0), "packaged before"), (0x2000, "shared"), (0x9000, "no page"),
  ])
  func aPageThatMayNotLeaveIsNeverEncrypted(gpa: UInt64, why: String) throws {
    var svsm = try source(guest(size: 4 * 4096, "0x0-0x1fff"))
    var record = [UInt8](repeating: 0, count: PageMetadata.recordSize)
    let page = [UInt8](repeating: 5, count: 4096)
    var span = record.mutableSpan
    let export = try svsm.makeExport()
    try svsm.beginExport(export, at: 0, count: 1)
    try export.package(page.span, into: &span, at: 0, stride: PageMetadata.recordSize)
    try svsm.finishExport(export)
    for index in span.indices { span[index] = 0 }
    let another = try svsm.makeExport()
    let code = refusalCode {
      try svsm.beginExport(another, at: gpa, count: 1)
      try another.package(page.span, into: &span, at: 0, stride: PageMetadata.recordSize)
    }
    #expect(code == .pageOperation || code == .pageRepeated, "\(why)")
    // Ciphertext of a refused page would share its nonce with the next page's.
    #expect(record.allSatisfy { $0 == 0 })
  }

  @Test func theCommitComesOnceAndAfterTheFinalState() throws {
    var svsm = try source(guest(size: 4096, "none"))
    _ = try svsm.closeEpoch(isLast: true)
    #expect(throws: MigrationError.self) { _ = try svsm.commit() }
    try svsm.packageFinalState(secretsPage: nil) { _, _ in }
    _ = try svsm.commit()
    #expect(throws: MigrationError.self) { _ = try svsm.commit() }
  }

  @Test func theLastEpochClosesOnlyWhenEveryValidatedPageHasLeft() throws {
    var svsm = try source(guest(size: 2 * 4096, "0x0-0x1fff"))
    #expect(refusalCode { _ = try svsm.closeEpoch(isLast: true) } == .pageStale)
  }

  @Test("A destination's session is dead after its first refusal, whatever comes then")
  func aSessionIsDeadAfterItsFirstRefusal() throws {
    let destination = try Lab.instance(1)
    let data = try source(guest(size: 4096, "none")).transferData
    var svsm = try DestinationSVSM(
      instance: destination, transferData: data, trust: Lab.trust, options: .test, at: 0)
    let token = [UInt8](repeating: 0, count: EpochToken.Layout.size)
    let commit = [UInt8](repeating: 0, count: CommitRecord.Layout.size)
    #expect(refusalCode { try svsm.processEpochToken(token.span, at: 0) } == .epochTag)
    #expect(refusalCode { try svsm.processEpochToken(token.span, at: 0) } == .sessionState)
    #expect(refusalCode { _ = try svsm.processCommit(commit.span, at: 0) } == .sessionState)
  }

  @Test func hostAndSVSMMustAgreeAboutEveryPage() throws {
    let svsm = try source(guest(size: 4 * 4096, "0x1000-0x1fff"))
    try svsm.validateAttributes([0x1000..<0x2000])
    for attributes: [Range<UInt64>] in [
      [], [0x1000..<0x3000], [0..<0x2000], [0x1000..<0x2000, 0x3000..<0x4000],
    ] {
      #expect(refusalCode { try svsm.validateAttributes(attributes) } == .mapDisagrees)
    }
  }

  @Test func aGuestThatNoDestinationTakesDoesNotLeave() throws {
    let guest = try guest(size: 4096, "none")
    var states: [(TrustedGuestState, ErrorCode)] = []
    var state = try guest.trustedState()
    state.vcpus = []
    states.append((state, .vcpuCount))
    state = try guest.trustedState()
    state.vcpus += state.vcpus
    states.append((state, .vcpuRepeated))
    state = try guest.trustedState()
    var vmsa = try VMSA(state.vcpus[0].vmsa)
    vmsa.features = SEVFeatures(rawValue: 0x21)
    state.vcpus[0].vmsa = vmsa.bytes
    states.append((state, .vcpuFeatures))
    state = try guest.trustedState()
    vmsa = try VMSA(state.vcpus[0].vmsa)
    vmsa.vmpl = 0
    state.vcpus[0].vmsa = vmsa.bytes
    states.append((state, .vcpuVMPL))
    for (state, code) in states {
      let refused = refusalCode {
        _ = try SourceSVSM(
          instance: Lab.instance(2), guest: state, validating: Lab.instance(1).offer,
          trust: Lab.trust, isMutual: true, random: .seeded([3]))
      }
      #expect(refused == code)
    }
  }

  @Test func sharedMemoryLongerThanOnePartIsWhole() throws {
    let guest = try guest(size: 65 << 20, "none")
    let destination = try Lab.instance(1)
    let stream = try Lab.save(guest, to: destination)
    #expect(
      try Lab.verifier().verify(
        StreamInput(ArraySource(stream)), for: destination
      )
      .refusal == nil)
  }
}
