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

/// What a verifier names beyond the first finding, and what it never calls proven.
@Suite struct LedgerTests {
  typealias Property = VerificationReport.Property
  private let destination: SVSMInstance
  private let whole: SectionPieces
  /// A stream of three chunks, and the instance it is for.
  private let golden: [UInt8]
  private let holder: SVSMInstance

  init() throws {
    let scratch = try Scratch()
    try scratch.write("ram", [UInt8](repeating: 7, count: 40 * 4096))
    var options = RawImageOptions()
    options.privateRanges = try GPARangeSet(parsing: "0x0-0x1ffff")
    options.vcpus = [try GuestReader.resetVCPU(), try GuestReader.resetVCPU()]
    options.vcpus?[1].apicID = 1
    destination = try Lab.instance(1)
    whole = try SectionPieces(
      Lab.save(GuestReader(rawImage: scratch["ram"], options), to: destination))
    golden = try Fixture.read("golden/mixed/stream.mig")
    holder = try SVSMInstance(Fixture.read("golden/destination.svsm"))
  }

  private func audit(
    _ stream: [UInt8], withKeys: Bool = true, stopsAtFirst: Bool = false, jobs: Int = 2,
    pieceSize: Int = .max
  ) throws -> VerificationReport {
    let input = StreamInput(ArraySource(stream, pieceSize: pieceSize))
    let verifier = Lab.verifier(jobs: jobs)
    guard withKeys else { return try verifier.verify(input, stopsAtFirst: stopsAtFirst) }
    let isGolden = stream.count == golden.count
    return try verifier.verify(
      input, for: isGolden ? holder : destination, stopsAtFirst: stopsAtFirst)
  }

  private func findings(
    _ report: VerificationReport, _ property: Property
  ) -> [VerificationReport.Refutation] {
    if case .refuted(let found, _) = report.outcome(of: property) { found } else { [] }
  }

  private func codes(_ report: VerificationReport, _ property: Property) -> [ErrorCode] {
    findings(report, property).map(\.error.code)
  }

  /// Places of page records in the small stream.
  private func page(_ index: Int) -> Int {
    let piece = whole.index(of: "snp-private-pages", .part, skipping: index)
    return Int(whole.pieces[piece].header.offset) + 5
  }

  // MARK: It goes on

  @Test(arguments: [true, false]) func everyDamagedChunkIsNamed(withKeys: Bool) throws {
    var stream = golden
    for place in [100_000, 300_000, 600_000] { stream[place] ^= 1 }
    let report = try audit(stream, withKeys: withKeys)
    let chunks = findings(report, .seal)
    #expect(chunks.map(\.error.code) == [.sealChunk, .sealChunk, .sealChunk])
    #expect(chunks.map(\.error.offset) == [0, 0x40000, 0x80000])
    #expect(chunks.allSatisfy { $0.error.expected != nil && $0.error.got != nil })
    #expect(chunks.allSatisfy { "\($0.clause)" == "Formats/stream.md, section 16, rule 5" })
  }

  @Test func aBadTagAndALaterGapAreBothNamed() throws {
    var cut = whole
    let bad = cut.index(of: "snp-private-pages", .part, skipping: 3)
    cut.pieces[bad].bytes[2000] ^= 1
    cut.pieces.remove(at: cut.index(of: "snp-private-pages", .part, skipping: 9))
    let report = try audit(cut.stream)
    #expect(report.refusal?.code == .pageTag)
    #expect(codes(report, .pageTags) == [.pageTag])
    let gaps = findings(report, .pageSequence)
    #expect(gaps.map(\.error.code) == [.pageSequence])
    #expect(gaps.first?.error.expected == "10")
    #expect(gaps.first?.error.got == "11")
    #expect(codes(report, .counts) == [.epochCount, .commitTotals])
    #expect(codes(report, .transcript) == [.epochTranscript])
    #expect(codes(report, .pageStates) == [.mapMissingPage])
  }

  @Test(arguments: [true, false]) func aDroppedPageIsOneGap(withKeys: Bool) throws {
    for index in [0, 7, 31] {
      var cut = whole
      cut.pieces.remove(at: cut.index(of: "snp-private-pages", .part, skipping: index))
      let report = try audit(cut.stream, withKeys: withKeys)
      #expect(codes(report, .pageSequence) == (index == 31 ? [] : [.pageSequence]))
      #expect(codes(report, .epochOrder) == [])
      #expect(codes(report, .seal).first == .sealLength)
    }
  }

  @Test(arguments: [0, 8, 16, 20, 23, 28]) func aChangedFieldOfAPageIsNamedOnce(field: Int) throws {
    var stream = whole.stream
    stream[page(5) + field + (field < 16 ? 6 : 0)] ^= 0x10
    let report = try audit(stream, withKeys: false)
    let found = Property.allCases.filter { $0 != .seal }.flatMap { codes(report, $0) }
    let page = found.filter { $0.rawValue.hasPrefix("PAGE-") || $0 == .sectionReserved }
    #expect(page.count == 1, "\(found)")
    #expect(codes(report, .seal) == [.sealChunk])
  }

  /// Rows: what is changed in the small stream, at which byte of which section, to break its structure.
  @Test(arguments: [
    ("snp-private-pages", SectionHeader.Kind.part, 0), ("ram", .part, 12), ("snp-vcpu", .full, 1),
    ("snp-page-states", .full, 6), ("snp-guest-map", .full, 5), ("snp-commit", .full, 8),
    ("snp-session", .full, 26),
  ])
  func aStructuralFaultStillNamesDamagedChunks(
    name: String, kind: SectionHeader.Kind, byte: Int
  ) throws {
    for withKeys in [true, false] {
      var cut = whole
      let piece = cut.index(of: try #require(SectionName(name)), kind)
      cut.pieces[piece].bytes[byte] ^= 0x40
      var stream = cut.stream
      let seal = try #require(stream.firstRange(of: Array("SVSMSEAL".utf8))).lowerBound
      // The signature as well.
      stream[seal + 216 + 64 + 40] ^= 1
      let report = try audit(stream, withKeys: withKeys)
      #expect(report.refusal?.code.rawValue.hasPrefix("SEAL") == false, "\(name)")
      #expect(codes(report, .seal) == [.sealChunk], "\(name)")
      if name != "snp-session" {
        #expect(codes(report, .sealSigner) == [.sealSignature], "\(name)")
      }
      #expect(report.outcome(of: .structure) != .proven)
    }
  }

  /// An address that is refused is none: what stands on it must not be computed with.
  @Test(
    arguments: [.max, .max - 4095, .max - 0x1fff, .max - 0x1f_ffff, 1 << 52, 8] as [UInt64])
  func aPageAtNoAddressIsRefusedAndInNoBook(gpa: UInt64) throws {
    for index in [0, 31] {
      var stream = whole.stream
      var bytes: [UInt8] = []
      bytes.append(bigEndian: gpa)
      stream.replaceSubrange(page(index) + 8..<page(index) + 16, with: bytes)
      let report = try audit(stream)
      #expect(report.refusal?.code == .pageTag)
      #expect(report.refusal?.offset == UInt64(page(index)))
      #expect(codes(report, .structure) == [.pageAddress])
      // The page that should have come there is missed; no other is known.
      #expect(codes(report, .pageStates) == [.mapMissingPage])
      #expect(try audit(stream, withKeys: false).refusal?.code == .pageAddress)
    }
  }

  @Test func aPipeIsReadOnceAndGivesTheSame() throws {
    var stream = golden
    stream[golden.count / 3] ^= 1
    stream[200] ^= 1
    let report = try audit(stream)
    for (jobs, size) in [(1, 4097), (3, 65_536)] {
      let other = try audit(stream, jobs: jobs, pieceSize: size)
      #expect(other.outcomes.map(\.outcome) == report.outcomes.map(\.outcome))
    }
  }

  @Test func findingsAreBoundedAndCounted() throws {
    var stream = whole.stream
    for index in 0..<32 { stream[page(index) + 1000] ^= 1 }
    let report = try audit(stream)
    guard case .refuted(let found, let more) = report.outcome(of: .pageTags) else {
      Issue.record("page tags are not refuted")
      return
    }
    #expect(found.count == VerificationReport.limit)
    #expect(more == 32 - UInt64(VerificationReport.limit))
    #expect(report.refusal?.offset == UInt64(page(0)))
  }

  // MARK: The first finding is a load's

  /// A sample of places, in steps of a prime, each changed in two ways.
  @Test(arguments: 0..<8) func theFirstFindingIsWhatALoadRefusesWith(part: Int) throws {
    let stream = whole.stream
    let scratch = try Scratch()
    for place in stride(from: part * 131, to: stream.count, by: 8 * 131) {
      for mask: UInt8 in [1, 0xff] {
        var damaged = stream
        damaged[place] ^= mask
        let loaded = refusal {
          try Lab.load(damaged, for: destination, to: scratch["out"])
        }
        let first = try audit(damaged).refusal
        #expect(first == loaded, "byte \(place)")
        let fast = try audit(damaged, stopsAtFirst: true).refusal
        #expect(fast == first, "byte \(place)")
        #expect(
          try audit(damaged, withKeys: false, stopsAtFirst: true).refusal
            == audit(damaged, withKeys: false).refusal)
      }
    }
  }

  @Test func theFirstFindingOfEveryOperationIsALoads() throws {
    let scratch = try Scratch()
    for index in whole.pieces.indices {
      var dropped = whole
      dropped.pieces.remove(at: index)
      var repeated = whole
      repeated.pieces.insert(whole.pieces[index], at: index)
      var swapped = whole
      swapped.pieces.swapAt(index, max(index - 1, 0))
      for cut in [dropped, repeated, swapped] where cut.stream != whole.stream {
        let loaded = refusal {
          try Lab.load(cut.stream, for: destination, to: scratch["out"])
        }
        let first = try audit(cut.stream).refusal
        #expect(first == loaded, "\(index)")
      }
    }
  }

  /// A cancel's tag does not cover what stands where other records have their content.
  @Test func contentOfACancelIsSaidAlike() throws {
    var stream = try Fixture.read("golden/rounds/stream.mig")
    let record = try #require(
      SectionPieces(stream).pieces.first { piece in
        piece.header.name == "snp-private-pages" && piece.header.kind == .part
          && piece.bytes[5 + 20] == PageMetadata.Operation.cancel.rawValue
      })
    let place = Int(record.header.offset) + 5 + PageMetadata.contentOffset + 9
    stream[place] ^= 0x20
    let scratch = try Scratch()
    let loaded = refusal { try Lab.load(stream, for: holder, to: scratch["out"]) }
    let report = try Lab.verifier().verify(StreamInput(ArraySource(stream)), for: holder)
    #expect(report.refusal == loaded)
    #expect(loaded?.code == .sectionReserved && loaded?.offset == UInt64(place))
    #expect(loaded?.expected == "0" && loaded?.got == "32")
  }

  private func refusal(_ body: () throws -> Void) -> MigrationError? {
    do {
      try body()
      return nil
    } catch {
      return error as? MigrationError
    }
  }

  // MARK: Nothing is proven that was not looked at

  @Test func aTruncatedStreamProvesNothingBehindItsEnd() throws {
    let stream = whole.stream
    let needsAll: [Property] = [
      .structure, .order, .counts, .transcript, .seal, .sealSigner, .pageTags, .pageSequence,
      .epochOrder, .epochTags, .pageStates,
    ]
    let eof = stream.count - whole.tail.count
    for length in stride(from: 0, to: eof, by: 499) {
      let report = try audit(Array(stream.prefix(length)))
      #expect(report.refusal != nil)
      for property in needsAll { #expect(report.outcome(of: property) != .proven, "\(length)") }
    }
  }

  /// What is wrong somewhere is proven nowhere: for each property a stream in which it does not hold.
  @Test func eachPropertyIsRefutedByWhatBreaksIt() throws {
    let vcpu = whole.index(of: "snp-vcpu", .full)
    let token = whole.index(of: "snp-epochs", .part)
    let commit = whole.index(of: "snp-commit", .full)
    // Heads of 5 bytes with a part, of 14 and the name with a full section.
    let rows: [(piece: Int, byte: Int, refuted: [Property])] = [
      (whole.index(of: "snp-private-pages", .part), 5 + 100, [.pageTags, .seal]),
      (token, 5 + 15, [.counts, .epochTags, .transcript, .seal]),
      (token, 5 + 60, [.transcript, .epochTags, .seal]), (token, 5 + 120, [.epochTags, .seal]),
      (vcpu, 14 + 8 + 100, [.vcpus, .seal]), (commit, 14 + 10 + 15, [.commit, .counts, .seal]),
      (commit, 14 + 10 + 140, [.commit, .seal]), (commit, 14 + 10 + 60, [.commit, .transcript]),
    ]
    for row in rows {
      var cut = whole
      cut.pieces[row.piece].bytes[row.byte] ^= 1
      let report = try audit(cut.stream)
      for property in row.refuted {
        #expect(!findings(report, property).isEmpty, "\(row): \(property)")
      }
      if row.piece == commit {
        #expect(report.outcome(of: .vcpus) != .proven)
        #expect(report.outcome(of: .pageStates) != .proven)
      }
    }
  }

  @Test func anOfferAloneShowsTheDestination() throws {
    let input = { StreamInput(ArraySource(whole.stream)) }
    let report = try Lab.verifier().verify(input(), offer: destination.offer)
    for property: Property in [.destinationAttestation, .keyBinding, .recipient] {
      #expect(report.outcome(of: property) == .proven, "\(property)")
    }
    #expect(report.outcome(of: .transportKey) != .proven)
    let other = try Lab.verifier().verify(input(), offer: Lab.instance(77).offer)
    #expect(other.refusal?.code == .sessionRecipient)
    #expect(codes(other, .recipient) == [.sessionRecipient])
    let stranger = try Lab.verifier().verify(input(), for: Lab.instance(77))
    #expect(stranger.outcome(of: .transportKey) != .proven)
    #expect(stranger.outcome(of: .pageTags) != .proven)
    #expect(stranger.outcome(of: .seal) == .proven)
  }

  @Test func everyEntryThatIsOpenSaysWhatItNeeds() throws {
    var stream = whole.stream
    stream[page(0) - 5] ^= 0x40
    for report in [try audit(stream), try audit(stream, withKeys: false)] {
      for (property, outcome) in report.outcomes {
        if case .notCheckable(let reason, let needs) = outcome {
          #expect(!reason.description.isEmpty && !needs.description.isEmpty, "\(property)")
        }
      }
      #expect(report.outcomes.map(\.property) == Property.allCases)
    }
  }

  // MARK: Plain streams

  @Test func aPlainStreamThatCannotBeWalkedStillNamesItsChunks() throws {
    let stream = try Fixture.read("qemu/pc72-bios-reset/stream.xz")
    let signer = try Lab.instance(1)
    let sealed = try Lab.seal(stream, signedBy: signer)
    var damaged = sealed
    damaged[300_000] ^= 1
    // The word before the first block name behind the list: no page record any more.
    let names = damaged.ranges(of: Array("pc.ram".utf8))
    damaged[names[1].lowerBound - 2] = 0xFF
    let report = try Lab.verifyPlain(damaged, sealedBy: signer)
    #expect(report.refusal?.code == .ramFlags)
    #expect(findings(report, .seal).map(\.error.offset) == [0, 0x40000])
    #expect(report.outcome(of: .order) != .proven)
    #expect(report.outcome(of: .sealSigner) == .proven)
  }
}
