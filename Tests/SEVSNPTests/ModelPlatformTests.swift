import Cryptography
import Errors
import SEVSNP
import TestSupport
import Testing

/// A time inside the model certificates' fifty years.
let modelTime = AttestationVerifier.Time.at(1_800_000_000)

@Suite struct ModelPlatformTests {
  private let verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)

  @Test(arguments: [3, 5] as [UInt32], [0, 1])
  func aModelReportPassesEveryCheckOfAGenuineOne(version: UInt32, chip: Int) throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: chip))
    var fields = processor.fields(version: version)
    fields.reportData = (0..<64).map { UInt8($0) }
    let report = try processor.sign(fields)
    #expect(report.fields == fields)
    #expect(try processor.sign(fields) == report)
    var verifier = verifier
    verifier.requirements = .peer(reportData: fields.reportData)
    let result = verifier.verify(
      report: report.bytes, certificates: processor.platform.certificates)
    try result.requireAccepted()
    #expect(result.isAccepted)
    #expect(!result.isGenuine)
    #expect(result.anchor?.product == nil)
    // The certificates of a GHCB table do as well.
    let table = try CertificateTable(processor.platform.certificateTable.bytes())
    #expect(
      verifier.verify(report: report.bytes, certificates: try table.certificates()).isAccepted)
  }

  @Test func theRootAloneIsEnoughWhenTheRestIsSupplied() throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    let report = try processor.sign(processor.fields())
    let root = try Fixture.read("model-platform/ark.der")
    var verifier = verifier
    verifier.trust = try TrustAnchor.named(X509Certificate.read(root))
    #expect(
      verifier.verify(report: report.bytes, certificates: processor.platform.certificates)
        .isAccepted)
    #expect(
      verifier.verify(report: report.bytes, certificates: [processor.platform.vcek]).firstFailure?
        .code == .certificateMissing)
  }

  @Test func amdsRootsDoNotTrustTheModel() throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    let report = try processor.sign(processor.fields())
    var verifier = verifier
    verifier.trust = TrustAnchor.amd
    let result = verifier.verify(
      report: report.bytes, certificates: processor.platform.certificates)
    #expect(result.firstFailure?.code == .certificateRoot)
    #expect(result.anchor == nil)
  }

  @Test func anAMDRootNamedByHandIsAMDs() throws {
    let named = try TrustAnchor.named([certificate("attestation/ca/turin-ark.der")])
    #expect(named.map(\.product) == [.turin])
    #expect(
      refusalCode { _ = try TrustAnchor.named([certificate("attestation/ca/turin-ask.der")]) }
        == .certificateRoot)
  }

  @Test func theChipsDifferInKeyAndIdentifier() throws {
    let chips = try (0..<Platform.modelChips).map { try Platform.model(chip: $0) }
    #expect(chips[0].chipID != chips[1].chipID)
    #expect(chips[0].vcek.publicKey != chips[1].vcek.publicKey)
    #expect(chips[0].ark == chips[1].ark)
    #expect(refusalCode { _ = try Platform.model(chip: 2) } == .platformSyntax)
    // A report of one does not verify under the certificate of the other.
    let processor = ModelSecurityProcessor(chips[0])
    let report = try processor.sign(processor.fields())
    let result = verifier.verify(report: report.bytes, certificates: [chips[1].vcek])
    #expect(result.checks.filter(\.isFailure).map(\.name) == [.chip, .signature])
  }

  @Test(arguments: 0..<Platform.modelChips)
  func theBuiltInChipsAreTheFixtures(chip: Int) throws {
    let files = try ["ark.der", "ask.der", "vcek.der", "vcek.key"].map { name in
      try Fixture.read("model-platform/chip-\(chip)/\(name)")
    }
    let read = try Platform(ark: files[0], ask: files[1], vcek: files[2], key: files[3])
    let builtIn = try Platform.model(chip: chip)
    #expect(read.certificates == builtIn.certificates)
    let processors = [read, builtIn].map { ModelSecurityProcessor($0) }
    let reports = try processors.map { try $0.sign($0.fields()) }
    #expect(reports[0] == reports[1])
  }

  @Test func aKeyOfAnotherChipIsRefused() throws {
    let files = try ["ark.der", "ask.der", "vcek.der"].map { name in
      try Fixture.read("model-platform/chip-0/\(name)")
    }
    func refusal(_ key: [UInt8]) -> ErrorCode? {
      refusalCode { _ = try Platform(ark: files[0], ask: files[1], vcek: files[2], key: key) }
    }
    let key = try Fixture.read("model-platform/chip-0/vcek.key")
    #expect(refusal(key) == nil)
    #expect(refusal(try Fixture.read("model-platform/chip-1/vcek.key")) == .platformSyntax)
    #expect(refusal(try Fixture.read("model-platform/ark.key")) == .platformSyntax)
    #expect(refusal(Array(key.dropLast(40))) == .platformSyntax)
    #expect(refusal([]) == .platformSyntax)
    #expect(
      refusalCode { _ = try Platform(ark: [1], ask: files[1], vcek: files[2], key: key) }
        == .platformSyntax)
  }

  typealias Change = @Sendable (inout AttestationReport.Fields) -> Void

  static let changes: [(change: Change, refusal: ErrorCode?)] = [
    ({ $0.policy = GuestPolicy(rawValue: 0xB0000) }, .reportDebug),
    ({ $0.policy = GuestPolicy(rawValue: 0x70000) }, .reportMigrationAgent),
    ({ $0.reportIDMA[3] = 0 }, .reportMigrationAgent),
    ({ $0.vmpl = 1 }, .reportVMPL), ({ $0.vmpl = 0xFFFF_FFFF }, .reportVMPL),
    ({ $0.policy = GuestPolicy(rawValue: 0x10000) }, .reportPolicy),
    ({ $0.policy = GuestPolicy(rawValue: 0x0403_0000) }, .reportPolicy),
    ({ $0.chipID = [UInt8](repeating: 0, count: 64) }, .reportChip),
    ({ $0.chipID[63] ^= 1 }, .reportChip),
    ({ $0.cpu = CPUIdentity(family: 0x19, model: 0x11, stepping: 1) }, .reportProduct),
    ({ $0.cpu = CPUIdentity(family: 0x17, model: 0x31, stepping: 0) }, .reportProduct),
    ({ $0.signatureAlgorithm = 2 }, .reportAlgorithm),
    ({ $0.keyInfo = KeyInfo(signer: .vlek) }, .certificateName),
    // The certificate is for 4, 0, 24, 219.
    ({ $0.reportedTCB = tcb(4, 0, 24, 218) }, .reportTCB),
    ({ $0.reportedTCB = tcb(5, 0, 24, 219) }, .reportTCB),
    // Bytes that mean nothing on a Milan.
    ({ $0.reportedTCB.rawValue |= 1 << 24 }, .reportReserved),
    ({ $0.currentTCB.rawValue |= 1 << 16 }, .reportReserved),
    ({ $0.committedTCB.rawValue |= 1 << 47 }, .reportReserved),
    ({ $0.launchTCB.rawValue |= 1 << 32 }, .reportReserved),
    // Lower in one component, far above as an integer.
    ({ $0.currentTCB = tcb(3, 0, 24, 255) }, .reportTCB),
    (
      {
        $0.committedTCB = tcb(4, 0, 23, 255)
        $0.currentTCB = tcb(4, 0, 24, 255)
      }, .reportTCB
    ),
    (
      {
        $0.currentTCB = tcb(4, 1, 24, 219)
        $0.committedTCB = tcb(4, 2, 24, 219)
      }, .reportTCB
    ),
    ({ $0.launchTCB = tcb(5, 0, 0, 0) }, .reportTCB),
    ({ $0.launchTCB = tcb(0, 0, 0, 0) }, nil),
    ({ $0.currentTCB = tcb(4, 9, 25, 220) }, nil),
  ]

  @Test(arguments: changes)
  func aSignedReportMustStillFit(
    change: Change, refusal: ErrorCode?
  ) throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    var fields = processor.fields()
    change(&fields)
    let result = verifier.verify(
      report: try processor.sign(fields).bytes, certificates: processor.platform.certificates)
    #expect(result.firstFailure?.code == refusal)
    #expect(result.isAccepted == (refusal == nil))
  }

  @Test func aMaskedChipAndUncommittedFirmwareAreThePolicysToDecide() throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    var fields = processor.fields()
    fields.chipID = [UInt8](repeating: 0, count: 64)
    fields.currentTCB = tcb(4, 0, 24, 220)
    let report = try processor.sign(fields).bytes
    var verifier = verifier
    verifier.requirements.allowsMaskedChip = true
    let certificates = processor.platform.certificates
    #expect(verifier.verify(report: report, certificates: certificates).isAccepted)
    verifier.requirements.policy.requiresCommittedTCB = true
    #expect(
      verifier.verify(report: report, certificates: certificates).firstFailure?.code == .reportTCB)
  }

  @Test func opensslAcceptsTheChainAndTheReport() throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 1))
    let platform = processor.platform
    let report = try processor.sign(processor.fields(version: 5))
    let scratch = try Scratch()
    try scratch.write("ark.pem", platform.ark.pem)
    try scratch.write("ask.pem", platform.ask.pem)
    try scratch.write("vcek.pem", platform.vcek.pem)
    try scratch.write("signed", report.signedBytes)
    let signed = try P384.Signature(r: report.signatureR, s: report.signatureS)
    try scratch.write("signature", signed.der)
    let chain = try openssl(
      "verify -CAfile @ark.pem -untrusted @ask.pem @vcek.pem", in: scratch)
    #expect(chain.status == 0, "\(chain.errors)")
    #expect(
      try openssl("x509 -in @vcek.pem -pubkey -noout -out @key", in: scratch).status == 0)
    let line = "dgst -sha384 -verify @key -signature @signature @signed"
    let signature = try openssl(line, in: scratch)
    #expect(signature.status == 0, "\(signature.errors)")
    var changed = report.signedBytes
    changed[0x50] ^= 1
    try scratch.write("signed", changed)
    #expect(try openssl(line, in: scratch).status != 0)
  }
}

/// A TCB of Milan.
func tcb(_ bootLoader: UInt8, _ tee: UInt8, _ snp: UInt8, _ microcode: UInt8) -> TCBVersion {
  TCBVersion(
    .init(bootLoader: bootLoader, tee: tee, snp: snp, microcode: microcode), for: .milan)
}
