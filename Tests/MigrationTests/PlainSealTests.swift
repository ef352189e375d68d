import Cryptography
import Errors
import Migration
import MigrationSupport
import QEMUStream
import SVSM
import TestSupport
import Testing
import Wire

/// What QEMU 7.2 wrote: three chunks, the last not full.
private let real = Result { try Fixture.read("qemu/pc72-bios-reset/stream.xz") }

@Suite struct PlainSealTests {
  /// Bytes of a seal over so many, its signature included.
  private func sealSize(over covered: Int, isSigned: Bool) -> Int {
    216 + (covered + (256 << 10) - 1) / (256 << 10) * 32 + (isSigned ? 96 : 0)
  }

  /// Where the VM description's record begins, which a stream ends with.
  private func trailer(of stream: [UInt8]) throws -> Int {
    let text = VMDescription.locate(inTail: stream.span)
    return try #require(text).lowerBound - 5
  }

  /// One RAM block with a page of content and one of zeros, a device, a description.
  private func small() -> [UInt8] {
    var bytes: [UInt8] = []
    let ram = RAMEncoder(blocks: [RAMBlock(name: "pc.ram", length: 0x2000)])
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: "pc-q35-7.2"))
    bytes.append(SectionHeader(.start, id: 3, name: RAMSection.name, version: RAMSection.version))
    ram.appendBlockList(to: &bytes)
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(StreamGrammar.PartHeader(.end, id: 3))
    bytes.append(bigEndian: UInt64(RAMFlags.page))
    bytes.append(name: "pc.ram")
    bytes += [UInt8](repeating: 0xC3, count: 4096)
    bytes.append(bigEndian: UInt64(0x1000 | RAMFlags.zero | RAMFlags.continue))
    bytes.append(0)
    ram.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: 3))
    bytes.append(SectionHeader(.full, id: 4, name: "timer", version: 2))
    bytes += [1, 2, 3, 4]
    bytes.append(StreamGrammar.Footer(id: 4))
    bytes.appendEOF()
    let field = VMDescription.Field("x", type: "uint32", size: 4)
    bytes.append(
      VMDescription(devices: [
        .init(name: "timer", body: .init("timer", version: 2, fields: [field]))
      ])
    )
    return bytes
  }

  // MARK: Making

  @Test(arguments: ["pc72-bios-reset", "pc100-boot", "pc72-boot-novmdesc", "pc100-boot-postcopy"])
  func nothingButTheSealIsAdded(name: String) throws {
    let stream = try Fixture.read("qemu/\(name)/stream.xz")
    let text = VMDescription.locate(inTail: stream.span)
    let covered = text.map { $0.lowerBound - 5 } ?? stream.count
    for signer in [nil, try Lab.instance(1)] {
      let sealed = try Lab.seal(stream, signedBy: signer)
      let size = sealSize(over: covered, isSigned: signer != nil)
      #expect(sealed.prefix(covered).elementsEqual(stream.prefix(covered)))
      #expect(sealed.dropFirst(covered).prefix(8).elementsEqual("SVSMSEAL".utf8))
      #expect(sealed.dropFirst(covered + size).elementsEqual(stream.dropFirst(covered)))
    }
  }

  @Test(arguments: [(1, Int.max), (2, .max), (3, .max), (3, 4097), (1, 1 << 18)])
  func theSealDependsOnTheBytesAlone(jobs: Int, pieceSize: Int) throws {
    let signer = try Lab.instance(1)
    let sealed = try Lab.seal(real.get(), signedBy: signer, jobs: jobs, pieceSize: pieceSize)
    #expect(try sealed == Lab.seal(real.get(), signedBy: signer))
  }

  /// The tree and the signature, made again by hand.
  @Test func theSealIsWhatTheFormatSays() throws {
    let stream = small()
    let covered = try trailer(of: stream)
    let sealed = try Lab.seal(stream, signedBy: Lab.instance(1))
    let fixed = Array(sealed[covered..<covered + 216])
    let leaf = Array(sealed[covered + 216..<covered + 248])
    #expect(try leaf == SHA256.hash([0] + stream[..<covered]))
    #expect(Array(fixed[40..<72]) == leaf)
    #expect(try Array(fixed[80..<112]) == SHA256.hash(Array(stream[covered...])))
    let signer = Array(fixed[112..<209])
    #expect(signer == (try Lab.instance(1).offer.publicKey))
    let signature = try #require(P384.Signature(raw: Array(sealed[covered + 248..<covered + 344])))
    let digest = try SHA384.hash(Array("svsm-migration v1 plain seal".utf8) + [0] + fixed)
    #expect(try P384.PublicKey(signer).verify(signature, digest: digest))
  }

  @Test("The signature of an SNP stream's seal is none of a plain stream's")
  func anSNPSignatureIsNone() throws {
    let stream = small()
    let covered = try trailer(of: stream)
    let signer = try Lab.instance(1)
    var sealed = try Lab.seal(stream, signedBy: signer)
    let place = covered + 248..<covered + 344
    for (kind, code) in [(.plain, nil), (.snp, .sealSignature)] as [(Seal.Kind, ErrorCode?)] {
      let fixed = Array(sealed[covered..<covered + 216])
      var cursor = ByteCursor(fixed.span)
      sealed.replaceSubrange(place, with: try signer.sign(Seal(from: &cursor), as: kind))
      #expect(try Lab.verifyPlain(sealed, sealedBy: signer).refusal?.code == code)
    }
  }

  @Test func whatIsNotSealed() throws {
    let stream = small()
    #expect(refusalCode { _ = try Lab.seal(Lab.seal(stream)) } == .sealPresent)
    let snp = try Fixture.read("golden/tiny/stream.mig")
    #expect(refusalCode { _ = try Lab.seal(snp) } == .streamKind)
    #expect(refusalCode { _ = try Lab.seal(stream.dropLast()) } == .streamTruncated)
    #expect(refusalCode { _ = try Lab.seal(stream + [0, 1]) } == .streamTrailing)
    #expect(refusalCode { _ = try Lab.seal([1] + stream) } == .streamMagic)
    #expect(refusalCode { _ = try Lab.seal([]) } == .streamEmpty)
  }

  // MARK: Verifying

  private func outcome(
    _ report: VerificationReport, _ property: VerificationReport.Property
  ) -> String {
    switch report.outcome(of: property) {
    case .proven: "proven"
    case .refuted(let refutations, _):
      refutations.map(\.error.code.rawValue).joined(separator: ", ")
    case .notCheckable(let reason, _): reason.description
    case nil: "no such property"
    }
  }

  @Test func aSealedStreamIsProvenAsFarAsItGoes() throws {
    let stream = try real.get()
    let bare = try Lab.verifyPlain(stream)
    #expect(bare.refusal == nil)
    #expect(outcome(bare, .structure) == "proven" && outcome(bare, .order) == "proven")
    #expect(outcome(bare, .seal) == "the stream has no seal")
    #expect(outcome(bare, .sealSigner) == "the stream has no seal")
    #expect(outcome(bare, .pageTags) == "no such property")
    let unsigned = try Lab.verifyPlain(Lab.seal(stream))
    #expect(outcome(unsigned, .seal) == "proven")
    #expect(outcome(unsigned, .sealSigner).contains("not signed"))
    let signer = try Lab.instance(1)
    let signed = try Lab.seal(stream, signedBy: signer)
    let known = try Lab.verifyPlain(signed, sealedBy: signer)
    #expect(outcome(known, .seal) == "proven" && outcome(known, .sealSigner) == "proven")
    let unknown = try Lab.verifyPlain(signed)
    let fingerprint = Hex.encode(try SHA256.hash(signer.offer.publicKey))
    #expect(outcome(unknown, .sealSigner).contains(fingerprint))
    #expect(unknown.signerHash.map { Hex.encode($0) } == fingerprint)
  }

  /// Whoever names a signer is told of everything that is not by him.
  @Test func anotherSignerIsRefused() throws {
    let stream = small()
    let (signer, other) = (try Lab.instance(1), try Lab.instance(2))
    for (stream, code) in [
      (stream, ErrorCode.sealMissing), (try Lab.seal(stream), .sealSigner),
      (try Lab.seal(stream, signedBy: other), .sealSigner),
    ] {
      let report = try Lab.verifyPlain(stream, sealedBy: signer)
      #expect(report.refusal?.code == code)
      #expect(outcome(report, code == .sealMissing ? .seal : .sealSigner) == code.rawValue)
    }
    // A stream without footers and description hides where its seal would be.
    let old = try Fixture.read("qemu/pc2.0-boot/stream.xz")
    #expect(try Lab.verifyPlain(old).refusal == nil)
    #expect(try Lab.verifyPlain(old, sealedBy: signer).refusal?.code == .sealMissing)
    #expect(refusalCode { _ = try Lab.seal(old) } == .sectionLength)
  }

  @Test(arguments: [1, 3])
  func aChangedPageIsFoundInItsChunk(jobs: Int) throws {
    let sealed = try Lab.seal(real.get())
    let covered = try trailer(of: real.get())
    // Pages of the firmware: their content, in each of the chunks.
    for (chunk, place) in [0x10003, 0x4FFFF, covered - 20000].enumerated() {
      for offset in [UInt64(0), 0x1234] {
        var stream = sealed
        stream[place] ^= 1
        let report = try Lab.verifyPlain(stream, offset: offset, jobs: jobs)
        #expect(report.refusal?.code == .sealChunk, "\(place)")
        #expect(report.refusal?.offset == UInt64(chunk << 18) + offset)
        #expect(outcome(report, .sealSigner).contains("not signed"))
      }
    }
  }

  /// Every byte: what keeps the stream from being walked is refused where it stands, all else by
  /// the seal.
  @Test(arguments: [false, true])
  func aChangedByteAnywhereIsRefused(isSigned: Bool) throws {
    let stream = small()
    let covered = try trailer(of: stream)
    let size = sealSize(over: covered, isSigned: isSigned)
    let sealed = try Lab.seal(stream, signedBy: isSigned ? Lab.instance(1) : nil)
    var bySeal = 0
    for place in sealed.indices {
      var changed = sealed
      changed[place] ^= 1 << UInt8(place & 7)
      let refusal = try Lab.verifyPlain(changed).refusal
      #expect(refusal?.offset != nil, "byte \(place): \(refusal?.description ?? "accepted")")
      let isOfSeal = refusal?.code.rawValue.hasPrefix("SEAL-") == true
      if place < covered, refusal?.code == .sealChunk { bySeal += 1 }
      // Its first byte tells that a seal is there.
      if covered + 1..<covered + size ~= place { #expect(isOfSeal, "byte \(place)") }
      if place >= covered + size + 5 { #expect(refusal?.code == .sealTrailer) }
    }
    #expect(bySeal > 4096)
  }

  /// A sample of a real stream, in steps of a prime.
  @Test func aChangedByteOfARealStreamIsRefused() throws {
    let sealed = try Lab.seal(real.get())
    let covered = try trailer(of: real.get())
    var bySeal = 0
    let places = stride(from: 11, to: covered, by: 7919)
    for place in places {
      var changed = sealed
      changed[place] ^= 0x10
      let refusal = try Lab.verifyPlain(changed).refusal
      #expect(refusal?.offset != nil, "byte \(place): \(refusal?.description ?? "accepted")")
      guard refusal?.code == .sealChunk else { continue }
      bySeal += 1
      #expect(refusal?.offset == UInt64(place & ~0x3FFFF))
    }
    #expect(bySeal * 10 > Array(places).count * 9)
  }

  /// A stream that is cut right behind its sections is one without seal.
  @Test func aTruncatedStreamIsRefused() throws {
    let stream = small()
    let covered = try trailer(of: stream)
    let signer = try Lab.instance(1)
    for signedBy in [nil, signer] {
      let sealed = try Lab.seal(stream, signedBy: signedBy)
      for length in sealed.indices {
        let cut = Array(sealed[..<length])
        #expect((try Lab.verifyPlain(cut).refusal == nil) == (length == covered), "\(length)")
        #expect(try Lab.verifyPlain(cut, sealedBy: signer).refusal != nil)
      }
    }
    let sealed = try Lab.seal(stream)
    let withoutDescription = sealed.prefix(covered + sealSize(over: covered, isSigned: false))
    #expect(try Lab.verifyPlain(Array(withoutDescription)).refusal?.code == .sealTrailer)
  }

  @Test func aSealOfAnotherStreamIsRefused() throws {
    let (stream, other) = (small(), try real.get())
    let (covered, size) = (try trailer(of: stream), try trailer(of: other))
    let foreign = try Lab.seal(other)[size..<size + sealSize(over: size, isSigned: false)]
    let spliced = Array(stream[..<covered] + foreign + stream[covered...])
    #expect(try Lab.verifyPlain(spliced).refusal?.code == .sealLength)
    // A VM description is added to a stream that was sealed without one.
    let bare = Array(stream[..<covered])
    let added = try Lab.seal(bare) + stream[covered...]
    #expect(try Lab.verifyPlain(added).refusal?.code == .sealTrailer)
    // And one whose sections are an SNP stream's is none that is plain.
    let snp = try Fixture.read("golden/tiny/stream.mig")
    #expect(try Lab.verifyPlain(snp).refusal?.code == .streamKind)
  }

  @Test func aPageThatNeverCameIsMissed() throws {
    var stream = small()
    // The zero page becomes the first page once more.
    let first = try #require(stream.firstRange(of: [0x10, 0x22] as [UInt8]))
    stream[first.lowerBound] = 0
    let report = try Lab.verifyPlain(Lab.seal(stream))
    #expect(report.refusal?.code == .ramMissing)
    #expect(outcome(report, .structure) == "RAM-MISSING")
    #expect(outcome(report, .seal) == "proven")
  }
}
