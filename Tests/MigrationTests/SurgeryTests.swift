import Attacks
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

@Suite struct SurgeryTests {
  private let destination: SVSMInstance
  private let whole: [UInt8]

  init() throws {
    let scratch = try Scratch()
    try scratch.write("ram", [UInt8](repeating: 7, count: 6 * 4096))
    var options = RawImageOptions()
    options.privateRanges = try GPARangeSet(parsing: "0x0-0x3fff")
    options.vcpus = [try GuestReader.resetVCPU(), try GuestReader.resetVCPU()]
    options.vcpus?[1].apicID = 1
    options.services = [
      try ServiceState(kind: .vTPM, version: 1, generation: 4, blob: [1, 2, 3])
    ]
    destination = try Lab.instance(1)
    whole = try Lab.save(GuestReader(rawImage: scratch["ram"], options), to: destination)
  }

  /// The code both levels of verification refuse the stream with that `recipe` makes, keyless first.
  private func codes(after recipe: String) throws -> [ErrorCode?] {
    let output = CollectedOutput()
    try Recipe(parsing: recipe).make(from: Materials(Materials.Input(whole)), to: output)
    let verifier = Lab.verifier()
    return [
      try verifier.verify(StreamInput(ArraySource(output.bytes))).refusal?.code,
      try verifier.verify(StreamInput(ArraySource(output.bytes)), for: destination).refusal?.code,
    ]
  }

  @Test func aStreamPutTogetherAgainIsTheSame() throws {
    let output = CollectedOutput()
    let recipe = "swap vcpu[0] vcpu[1]\nswap vcpu[0] vcpu[1]"
    try Recipe(parsing: recipe).make(from: Materials(Materials.Input(whole)), to: output)
    #expect(output.bytes == whole)
    #expect(try codes(after: "") == [nil, nil])
  }

  @Test func aDroppedPageIsMissedAtTheNext() throws {
    #expect(try codes(after: "cut page[1]") == [.pageSequence, .pageSequence])
  }

  @Test func theLastPageDroppedIsMissedByTheToken() throws {
    #expect(try codes(after: "cut page[3]") == [.epochCount, .epochCount])
  }

  @Test func aRepeatedPageIsRefused() throws {
    #expect(try codes(after: "copy page[0] after page[0]") == [.pageSequence, .pageSequence])
  }

  @Test func twoPagesOutOfOrderAreRefused() throws {
    #expect(try codes(after: "swap page[0] page[1]") == [.pageSequence, .pageSequence])
  }

  @Test(arguments: [
    ("session", "ram.start", ErrorCode.streamKind), ("map", "pages.start", .sectionOrder),
    ("commit", "vcpu", .commitTotals),
  ])
  func twoSectionsOutOfOrderAreRefused(first: String, second: String, code: ErrorCode) throws {
    #expect(try codes(after: "swap \(first) \(second)") == [code, code])
  }

  @Test func twoVCPUsSwappedAreRefused() throws {
    #expect(try codes(after: "swap vcpu[0] vcpu[1]") == [.finalOrder, .finalOrder])
  }

  @Test(arguments: [
    ("vcpu", ErrorCode.finalOrder), ("service", .finalOrder), ("states", .commitTotals),
  ])
  func aDroppedPieceOfFinalStateIsRefused(name: String, code: ErrorCode) throws {
    #expect(try codes(after: "cut \(name)") == [code, code])
  }

  @Test func withoutCommitNothingIsWhole() throws {
    #expect(try codes(after: "cut commit") == [.sectionMissing, .sectionMissing])
  }

  @Test func anUnknownSectionMustBeUnderstood() throws {
    let code = try codes(after: Self.insertUnknown(version: 1))
    #expect(code == [.sectionUnknown, .sectionUnknown])
  }

  @Test func anUnknownOptionalSectionIsSkippedAndOnlyTheSealMissesIt() throws {
    let code = try codes(after: Self.insertUnknown(version: 1 | SNPSection.optionalBit))
    #expect(code == [.sealLength, .sealLength])
  }

  private static func insertUnknown(version: UInt32) -> String {
    var bytes: [UInt8] = []
    bytes.append(SectionHeader(.full, id: 900, name: "x-unknown", version: version))
    bytes.append(bigEndian: UInt32(3))
    bytes += [1, 2, 3]
    bytes.append(StreamGrammar.Footer(id: 900))
    return "insert before vcpu hex:\(Hex.encode(bytes))"
  }

  @Test func aStreamForAnotherInstanceIsRefused() throws {
    let other = try Lab.instance(77)
    let report = try Lab.verifier()
      .verify(StreamInput(ArraySource(whole)), for: other)
    #expect(report.refusal?.code == .sessionRecipient)
  }

  @Test func aModelPeerIsRefusedUnderAMDsRoots() throws {
    let trust = Trust(anchors: TrustAnchor.amd, time: Lab.trust.time)
    let report = try Lab.verifier(trust: trust).verify(StreamInput(ArraySource(whole)))
    #expect(report.refusal?.code == .certificateRoot)
    // Whose stream it is does not change what is in it.
    #expect(report.outcome(of: .seal) == .proven)
  }

  @Test func whatCannotBeCheckedIsNeverCalledProven() throws {
    let report = try Lab.verifier()
      .verify(StreamInput(ArraySource(whole)))
    for (property, outcome) in report.outcomes {
      let needsKeys: Set<VerificationReport.Property> = [
        .destinationAttestation, .keyBinding, .recipient, .transportKey, .pageTags, .epochTags,
        .pageStates, .vcpus, .svsmState, .machineState, .commit, .freshness,
      ]
      #expect((outcome == .proven) == !needsKeys.contains(property), "\(property)")
    }
  }
}
