import Bytes
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing

/// A stream cut into its sections, to be put together otherwise.
struct Anatomy {
  /// From a section's type byte to the end of its footer.
  var pieces: [(header: SectionHeader, bytes: [UInt8])] = []
  /// What comes before the first section, and after the last.
  var head: [UInt8] = []
  var tail: [UInt8] = []

  init(_ stream: [UInt8]) throws {
    var reader = SNPStreamReader(StreamInput(ArraySource(stream)), checkingSealWith: nil)
    var starts: [SectionHeader] = []
    var end = 0
    reading: while true {
      switch try reader.next() {
      case .eof:
        end = Int(reader.offset) - 1
        break reading
      case .pages(let count):
        let first = reader.section
        for index in 0..<count {
          var section = try #require(first)
          section.offset += UInt64(index * SNPStreamReader.pageStride)
          starts.append(section)
        }
      default:
        if let section = reader.section, section.offset != starts.last?.offset {
          starts.append(section)
        }
      }
    }
    head = Array(stream[..<Int(starts[0].offset)])
    tail = Array(stream[end...])
    for (index, header) in starts.enumerated() {
      let next = index + 1 < starts.count ? Int(starts[index + 1].offset) : end
      pieces.append((header, Array(stream[Int(header.offset)..<next])))
    }
  }

  func index(of name: SectionName, _ kind: SectionHeader.Kind, skipping: Int = 0) -> Int {
    let found = pieces.indices.filter {
      pieces[$0].header.name == name && pieces[$0].header.kind == kind
    }
    return found[skipping]
  }

  var stream: [UInt8] { head + pieces.flatMap(\.bytes) + tail }
}

@Suite struct SurgeryTests {
  private let destination: SVSMInstance
  private let whole: Anatomy

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
    whole = try Anatomy(
      Lab.save(GuestReader(rawImage: scratch["ram"], options), to: destination))
  }

  /// The code both levels of verification refuse with, keyless first.
  private func codes(of stream: [UInt8]) throws -> [ErrorCode?] {
    let verifier = Lab.verifier()
    return [
      try verifier.verify(StreamInput(ArraySource(stream))).refusal?.code,
      try verifier.verify(StreamInput(ArraySource(stream)), for: destination).refusal?.code,
    ]
  }

  @Test func aStreamPutTogetherAgainIsTheSame() throws {
    #expect(try codes(of: whole.stream) == [nil, nil])
  }

  @Test func aDroppedPageIsMissedAtTheNext() throws {
    var cut = whole
    cut.pieces.remove(at: cut.index(of: "snp-private-pages", .part, skipping: 1))
    #expect(try codes(of: cut.stream) == [.pageSequence, .pageSequence])
  }

  @Test func theLastPageDroppedIsMissedByTheToken() throws {
    var cut = whole
    cut.pieces.remove(at: cut.index(of: "snp-private-pages", .part, skipping: 3))
    #expect(try codes(of: cut.stream) == [.epochCount, .epochCount])
  }

  @Test func aRepeatedPageIsRefused() throws {
    var cut = whole
    let index = cut.index(of: "snp-private-pages", .part)
    cut.pieces.insert(cut.pieces[index], at: index + 1)
    #expect(try codes(of: cut.stream) == [.pageSequence, .pageSequence])
  }

  @Test func twoPagesOutOfOrderAreRefused() throws {
    var cut = whole
    let index = cut.index(of: "snp-private-pages", .part)
    cut.pieces.swapAt(index, index + 1)
    #expect(try codes(of: cut.stream) == [.pageSequence, .pageSequence])
  }

  @Test(arguments: [
    ("snp-session", "ram", SectionHeader.Kind.start, ErrorCode.streamKind),
    ("snp-guest-map", "snp-private-pages", .start, .sectionOrder),
    ("snp-commit", "snp-vcpu", .full, .commitTotals),
  ])
  func twoSectionsOutOfOrderAreRefused(
    first: String, second: String, kind: SectionHeader.Kind, code: ErrorCode
  ) throws {
    var cut = whole
    cut.pieces.swapAt(
      cut.index(of: try #require(SectionName(first)), .full),
      cut.index(of: try #require(SectionName(second)), kind))
    #expect(try codes(of: cut.stream) == [code, code])
  }

  @Test func twoVCPUsSwappedAreRefused() throws {
    var cut = whole
    let index = cut.index(of: "snp-vcpu", .full)
    cut.pieces.swapAt(index, index + 1)
    #expect(try codes(of: cut.stream) == [.finalOrder, .finalOrder])
  }

  @Test(arguments: [
    ("snp-vcpu", ErrorCode.finalOrder), ("snp-service", .finalOrder),
    ("snp-page-states", .commitTotals),
  ])
  func aDroppedPieceOfFinalStateIsRefused(name: String, code: ErrorCode) throws {
    var cut = whole
    cut.pieces.remove(at: cut.index(of: try #require(SectionName(name)), .full))
    #expect(try codes(of: cut.stream) == [code, code])
  }

  @Test func withoutCommitNothingIsWhole() throws {
    var cut = whole
    cut.pieces.remove(at: cut.index(of: "snp-commit", .full))
    #expect(try codes(of: cut.stream) == [.sectionMissing, .sectionMissing])
  }

  @Test func anUnknownSectionMustBeUnderstood() throws {
    var cut = whole
    insertUnknown(version: 1, into: &cut)
    #expect(try codes(of: cut.stream) == [.sectionUnknown, .sectionUnknown])
  }

  @Test func anUnknownOptionalSectionIsSkippedAndOnlyTheSealMissesIt() throws {
    var cut = whole
    insertUnknown(version: 1 | SNPSection.optionalBit, into: &cut)
    #expect(try codes(of: cut.stream) == [.sealLength, .sealLength])
  }

  private func insertUnknown(version: UInt32, into cut: inout Anatomy) {
    var bytes: [UInt8] = []
    let header = SectionHeader(.full, id: 900, name: "x-unknown", version: version)
    bytes.append(header)
    bytes.append(bigEndian: UInt32(3))
    bytes += [1, 2, 3]
    bytes.appendFooter(id: 900)
    cut.pieces.insert((header, bytes), at: cut.index(of: "snp-vcpu", .full))
  }

  @Test func aStreamForAnotherInstanceIsRefused() throws {
    let other = try Lab.instance(77)
    let report = try Lab.verifier()
      .verify(StreamInput(ArraySource(whole.stream)), for: other)
    #expect(report.refusal?.code == .sessionRecipient)
  }

  @Test func aModelPeerIsRefusedUnderAMDsRoots() throws {
    let trust = Trust(anchors: TrustAnchor.amd, time: Lab.trust.time)
    let report = try Lab.verifier(trust: trust).verify(StreamInput(ArraySource(whole.stream)))
    #expect(report.refusal?.code == .certificateRoot)
    // Whose stream it is does not change what is in it.
    #expect(report.outcome(of: .seal) == .proven)
  }

  @Test func whatCannotBeCheckedIsNeverCalledProven() throws {
    let report = try Lab.verifier()
      .verify(StreamInput(ArraySource(whole.stream)))
    for (property, outcome) in report.outcomes {
      let needsKeys: Set<VerificationReport.Property> = [
        .destinationAttestation, .keyBinding, .recipient, .transportKey, .pageTags, .epochTags,
        .pageStates, .vcpus, .svsmState, .machineState, .commit, .freshness,
      ]
      #expect((outcome == .proven) == !needsKeys.contains(property), "\(property)")
    }
  }
}
