import Cryptography
import Errors
import SEVSNP
import TestSupport
import Testing
import Wire

extension GenuinePair {
  fileprivate var reportBytes: [UInt8] { get throws { try Fixture.read(report) } }
  fileprivate var certificates: [X509Certificate] {
    get throws { [try SEVSNPTests.certificate(certificate)] }
  }
}

@Suite struct GenuineReportTests {
  private let lenient = AttestationVerifier(
    trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue)

  @Test func amdRootsAreBuiltIn() throws {
    #expect(TrustAnchor.amd.map(\.product) == [.milan, .genoa, .turin])
    for anchor in TrustAnchor.amd {
      let name = try #require(anchor.product).rawValue.lowercased()
      #expect(anchor.root == (try certificate("attestation/ca/\(name)-ark.der")))
      let below = ["ask", "asvk"].map { "attestation/ca/\(name)-\($0).der" }
      #expect(anchor.intermediates == (try below.map(certificate)))
    }
  }

  @Test(arguments: GenuinePair.all)
  func aGenuineReportIsAcceptedUnderAMDsRoots(pair: GenuinePair) throws {
    let result = lenient.verify(report: try pair.reportBytes, certificates: try pair.certificates)
    #expect(result.firstFailure == nil)
    #expect(result.isAccepted)
    #expect(result.isGenuine)
    #expect(result.product?.rawValue == pair.product)
    #expect(result.anchor?.product?.rawValue == pair.product)
    #expect(result.checks.map(\.name) == AttestationCheck.Name.allCases)
  }

  @Test(arguments: GenuinePair.all)
  func whatAMigrationDoesNotWantIsRefusedByName(pair: GenuinePair) throws {
    let verifier = AttestationVerifier(trust: TrustAnchor.amd, time: .atIssue)
    let result = verifier.verify(report: try pair.reportBytes, certificates: try pair.certificates)
    #expect(result.firstFailure?.code == pair.refusal)
  }

  @Test(arguments: GenuinePair.all)
  func fieldsWriteTheBytesTheyWereReadFrom(pair: GenuinePair) throws {
    let report = try AttestationReport(pair.reportBytes)
    #expect(try report.fields.signedBytes() == report.signedBytes)
    let again = try AttestationReport(
      signedBytes: report.signedBytes, signatureR: report.signatureR,
      signatureS: report.signatureS)
    #expect(again == report)
  }

  @Test func aVLEKAtLevelOneNeedsBothAllowances() throws {
    let pair = try #require(GenuinePair.all.first { $0.leaf == "vlek" })
    var verifier = AttestationVerifier(trust: TrustAnchor.amd, time: .atIssue)
    verifier.requirements.allowsVLEK = true
    let report = try pair.reportBytes
    let certificates = try pair.certificates
    #expect(
      verifier.verify(report: report, certificates: certificates).firstFailure?.code == .reportVMPL)
    verifier.requirements.vmpl = 1
    let result = verifier.verify(report: report, certificates: certificates)
    #expect(result.isAccepted)
    #expect(result.endorsement?.provider == "CN=cc-us-east-2.amazonaws.com")
    // The certificate lasted until 2025-12-10.
    verifier.time = .at(CivilDate.days(year: 2025, month: 12, day: 9) * 86_400)
    #expect(verifier.verify(report: report, certificates: certificates).isAccepted)
    verifier.time = .at(CivilDate.days(year: 2025, month: 12, day: 12) * 86_400)
    #expect(
      verifier.verify(report: report, certificates: certificates).firstFailure?.code
        == .certificateDate)
  }

  @Test(arguments: [
    (
      report: "neg-milan-v2-wrong-chip-kinvolk", leaf: "neg-milan-v2-wrong-chip-kinvolk",
      code: ErrorCode.reportChip
    ),
    ("milan-v3-ccf", "neg-milan-cert-hwid-raw-badsig-trustee", .certificateChain),
    ("milan-v3-ccf", "neg-milan-cert-hwid-octetstring-badsig-trustee", .certificateChain),
    ("milan-v3-ccf", "milan-v3-sidecar", .reportChip),
    ("milan-v3-ccf", "chainonly-turin-vcek-virtee", .reportProduct),
    ("milan-v2-virtee", "chainonly-turin-vcek-virtee", .reportProduct),
    ("turin-v5-ccf", "milan-v3-ccf", .reportProduct),
  ])
  func aCertificateOfAnotherReportIsRefused(report: String, leaf: String, code: ErrorCode) throws {
    let result = lenient.verify(
      report: try Fixture.read("attestation/\(report).report.bin"),
      certificates: [try certificate("attestation/\(leaf).vcek.der")])
    #expect(result.firstFailure?.code == code)
    #expect(!result.isAccepted)
  }

  @Test("The wrong chip is named before the signature, which is wrong because of it")
  func theWrongChipIsNamedBeforeTheSignature() throws {
    let name = "attestation/neg-milan-v2-wrong-chip-kinvolk"
    let result = lenient.verify(
      report: try Fixture.read(name + ".report.bin"),
      certificates: [try certificate(name + ".vcek.der")]
    )
    let failed = result.checks.filter(\.isFailure).map(\.name)
    #expect(failed == [.chip, .signature])
    #expect(result.firstFailure?.code == .reportChip)
    #expect(result.anchor?.product == .milan)
  }

  @Test func aReportWithoutACertificateIsParsedAndRefused() throws {
    let bytes = try Fixture.read("attestation/neg-genoa-v2-nocert-routex.report.bin")
    let result = lenient.verify(report: bytes, certificates: [])
    #expect(result.firstFailure?.code == .certificateMissing)
    #expect(result.report?.version == 2)
    #expect(result.checks.first { $0.name == .signature }?.outcome == .notReached)
  }

  @Test func aTurinCertificateChainsWithoutAReport() throws {
    let extensions = try EndorsementExtensions(
      certificate("attestation/chainonly-turin-vcek-virtee.vcek.der"))
    #expect(extensions.product == .turin)
    #expect(extensions.chipIdentifier?.count == 8)
    #expect(extensions.tcb.components(for: .turin)[.fmc] != nil)
  }

  @Test func noRootButTheProductsOwnIsTaken() throws {
    let pair = try #require(GenuinePair.all.first { $0.name == "genoa-v5-oak" })
    let verifier = AttestationVerifier(
      trust: TrustAnchor.amd.filter { $0.product == .milan }, requirements: .anyGuest,
      time: .atIssue)
    let report = try pair.reportBytes
    let leaf = try pair.certificates
    #expect(
      verifier.verify(report: report, certificates: leaf).firstFailure?.code == .certificateMissing)
    let ask = try certificate("attestation/ca/genoa-ask.der")
    #expect(
      verifier.verify(report: report, certificates: leaf + [ask]).firstFailure?.code
        == .certificateRoot)
  }

  @Test func expectedReportDataIsCompared() throws {
    let pair = try #require(GenuinePair.all.first { $0.name == "milan-v2-azure-trustee" })
    let report = try AttestationReport(pair.reportBytes)
    // SHA-256 of the runtime data beside it, zero padded.
    let binding = try #require(
      Hex.decode("b3fbad6514c83caeb0380882145e49f794229ef37c421b91fc47ff93556bafac"))
    var verifier = lenient
    verifier.requirements.reportData = binding + [UInt8](repeating: 0, count: 32)
    let certificates = try pair.certificates
    #expect(verifier.verify(report: report.bytes, certificates: certificates).isAccepted)
    verifier.requirements.reportData?[63] = 1
    let result = verifier.verify(report: report.bytes, certificates: certificates)
    #expect(result.firstFailure?.code == .reportData)
    #expect(refusalCode { try result.requireAccepted() } == .reportData)
  }
}
