import Cryptography
import Errors
import SEVSNP
import Testing

/// Certificates of `Fixtures/model-platform/variants`: all carry the key of model chip 0, so the
/// report's signature is good under each and only the certificate decides.
@Suite struct CertificateVariantTests {
  private let verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)

  private func report(
    _ change: (inout AttestationReport.Fields) -> Void = { _ in }
  ) throws -> [UInt8] {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    var fields = processor.fields()
    change(&fields)
    return try processor.sign(fields).bytes
  }

  private func variant(_ name: String) throws -> X509Certificate {
    try certificate("model-platform/variants/\(name).der")
  }

  @Test(
    arguments: [
      (name: "expired", code: ErrorCode.certificateDate), ("not-yet-valid", .certificateDate),
      ("salt-32", .certificateAlgorithm), ("pkcs1", .certificateAlgorithm),
      ("p256", .certificateAlgorithm), ("other-name", .certificateName),
      ("named-vlek", .certificateName), ("under-asvk", .certificateName),
      ("under-ark", .certificateChain), ("under-other-ask", .certificateChain),
      ("product-genoa", .reportProduct), ("product-unknown", .reportProduct),
      ("other-tcb", .reportTCB), ("other-chip", .reportChip), ("tcb-256", .certificateExtension),
      ("spl5-set", .certificateExtension), ("no-microcode", .certificateExtension),
      ("no-hwid", .certificateExtension), ("extension-unknown", .certificateExtension),
      ("vcek-with-csp", .certificateExtension), ("duplicate-extension", .certificateExtension),
      ("algorithm-inside", .certificateAlgorithm),
      ("hwid-octet-string", nil),
    ] as [(String, ErrorCode?)])
  func aLeafIsTakenOnlyInAMDsShape(name: String, refusal: ErrorCode?) throws {
    let result = verifier.verify(report: try report(), certificates: [try variant(name)])
    #expect(result.firstFailure?.code == refusal)
    #expect(result.isAccepted == (refusal == nil))
  }

  @Test(arguments: [
    (names: ["under-other-ask", "other-ask"], code: ErrorCode.certificateChain),
    (["under-other-ask", "other-ask", "other-ark"], .certificateRoot),
    (["under-ask-2048", "ask-2048"], .certificateAlgorithm),
  ])
  func aChainOfTheSameNamesIsRefused(names: [String], code: ErrorCode) throws {
    let result = verifier.verify(
      report: try report(), certificates: try names.map { try variant($0) })
    #expect(result.firstFailure?.code == code)
  }

  @Test(arguments: ["ask-no-ca", "ask-no-cert-sign", "ask-critical"])
  func anIntermediateMustBeAllowedToSign(name: String) throws {
    var verifier = verifier
    verifier.trust = try TrustAnchor.named([certificate("model-platform/ark.der")])
    let leaf = try Platform.model(chip: 0).vcek
    let result = verifier.verify(report: try report(), certificates: [leaf, try variant(name)])
    #expect(result.firstFailure?.code == .certificateExtension)
    #expect(result.checks.filter(\.isFailure).map(\.name) == [.authorities])
  }

  @Test("A root that is named after a product has no certificates of another below it")
  func theRootsNameIsItsProducts() throws {
    var verifier = verifier
    verifier.trust = try TrustAnchor.named([variant("genoa-ark")])
    let result = verifier.verify(
      report: try report(),
      certificates: try ["under-genoa-ask", "genoa-ask"].map { try variant($0) })
    #expect(result.firstFailure?.code == .reportProduct)
    #expect(result.firstFailure?.expected == "Genoa")
    #expect(result.checks.filter(\.isFailure).map(\.name) == [.product])
    #expect(verifier.trust.map(\.namedProduct) == [.genoa])
    #expect(TrustAnchor.model.map(\.namedProduct) == [nil])
    #expect(TrustAnchor.amd.map(\.namedProduct) == TrustAnchor.amd.map(\.product))
  }

  @Test("A chip that a report masks is agreed with no certificate, not even one of zeros")
  func noCertificateIsOfAMaskedChip() throws {
    var verifier = verifier
    let masked = try report { $0.chipID = [UInt8](repeating: 0, count: 64) }
    let certificates = [try variant("hwid-zero")]
    let result = verifier.verify(report: masked, certificates: certificates)
    #expect(result.firstFailure?.code == .reportChip)
    #expect(result.checks.filter(\.isFailure).map(\.name) == [.chip])
    verifier.requirements.allowsMaskedChip = true
    let lenient = verifier.verify(report: masked, certificates: certificates)
    #expect(
      lenient.checks.first { $0.name == .chip }?.outcome
        == .notAsked("not demanded (this report: no chip is named)"))
  }

  /// Rows: certificates of one key or name, of which some are wrong, and what they are refused with.
  @Test(
    "The order of certificates decides nothing",
    arguments: [
      (["expired", "other-tcb", "chip-0", "pkcs1"], nil),
      (["ask-no-ca", "chip-0", "ask-no-cert-sign", "ask"], nil),
      (["other-ask", "chip-1", "chip-0", "ask-no-ca"], nil),
      (["expired", "other-tcb", "other-chip"], ErrorCode.reportTCB),
      (["expired", "not-yet-valid"], .certificateDate),
      (["under-other-ask", "other-ask", "pkcs1"], .certificateAlgorithm),
    ] as [([String], ErrorCode?)])
  func theOrderDecidesNothing(names: [String], refusal: ErrorCode?) throws {
    let report = try report()
    let certificates = try names.map { name in
      switch name {
      case "chip-0", "chip-1": try certificate("model-platform/\(name)/vcek.der")
      case "ask": try certificate("model-platform/ask.der")
      default: try variant(name)
      }
    }
    var refusals: Set<String> = []
    for first in certificates.indices {
      let turned = Array(certificates[first...] + certificates[..<first])
      for order in [turned, turned.reversed()] {
        let result = verifier.verify(report: report, certificates: order)
        #expect(result.firstFailure?.code == refusal)
        #expect(result.isAccepted == (refusal == nil))
        refusals.insert("\(String(describing: result.firstFailure))")
      }
    }
    #expect(refusals.count == 1)
  }

  @Test("Roots of one name are told apart by whom they signed")
  func theOrderOfRootsDecidesNothing() throws {
    let roots = [try certificate("model-platform/ark.der"), try variant("other-ark")]
    for order in [roots, roots.reversed()] {
      var verifier = verifier
      verifier.trust = try TrustAnchor.named(order)
      let platform = try Platform.model(chip: 0).certificates
      #expect(verifier.verify(report: try report(), certificates: platform).isAccepted)
      let other = try ["other-ask", "under-other-ask"].map { try variant($0) }
      #expect(verifier.verify(report: try report(), certificates: other).isAccepted)
    }
  }

  @Test("What is wrong in a chain is said of a certificate that is named")
  func aRefusalNamesTheCertificate() throws {
    for (name, said) in [
      ("pkcs1", "SEV-VCEK is signed in another way than AMD's"),
      ("p256", "SEV-VCEK has another kind"),
      ("under-ark", "SEV-VCEK is issued by the root itself"),
      ("algorithm-inside", "SEV-VCEK names another signature algorithm inside"),
    ] {
      let result = verifier.verify(report: try report(), certificates: [try variant(name)])
      #expect(result.firstFailure?.what.description.hasPrefix(said) == true)
    }
    let leaf = verifier.verify(report: try report(), certificates: [try variant("under-other-ask")])
    #expect(leaf.firstFailure?.what == "signature on SEV-VCEK is not that of SEV-Model")
    let issuer = verifier.verify(
      report: try report(),
      certificates: try ["under-other-ask", "other-ask"].map { try variant($0) })
    #expect(issuer.firstFailure?.what == "signature on SEV-Model is not that of ARK-Model")
  }

  @Test func levelsFrom128UpAreRead() throws {
    let leaf = try variant("high-tcb")
    let level = tcb(127, 128, 200, 255)
    #expect(try EndorsementExtensions(leaf).tcb == level)
    let result = verifier.verify(
      report: try report { fields in
        fields.reportedTCB = level
        fields.committedTCB = level
        fields.currentTCB = level
      }, certificates: [leaf])
    #expect(result.isAccepted)
  }

  @Test func aVLEKServesWhereAllowed() throws {
    var verifier = verifier
    let leaf = try variant("vlek")
    let bytes = try report { $0.keyInfo = KeyInfo(signer: .vlek) }
    #expect(
      verifier.verify(report: bytes, certificates: [leaf]).firstFailure?.code == .reportSigningKey)
    verifier.requirements.allowsVLEK = true
    let result = verifier.verify(report: bytes, certificates: [leaf])
    #expect(result.isAccepted)
    #expect(
      result.checks.first { $0.name == .chip }?.outcome
        == .notAsked("a VLEK is of no single chip"))
    // The VCEK beside it is passed over.
    let both = [try Platform.model(chip: 0).vcek, leaf]
    #expect(verifier.verify(report: bytes, certificates: both).isAccepted)
  }

  @Test func ofSeveralCertificatesTheOneThatSignedIsTaken() throws {
    let leaves = try [Platform.model(chip: 1).vcek, Platform.model(chip: 0).vcek]
    #expect(verifier.verify(report: try report(), certificates: leaves).isAccepted)
  }

  @Test func datesCountInclusively() throws {
    let leaf = try variant("expired")
    var verifier = verifier
    func refusal(_ time: AttestationVerifier.Time) throws -> ErrorCode? {
      verifier.time = time
      return verifier.verify(report: try report(), certificates: [leaf]).firstFailure?.code
    }
    let first = CivilDate.days(year: 2020, month: 1, day: 1) * 86_400
    #expect(leaf.notBefore == first)
    #expect(leaf.notAfter == first + 86_400)
    #expect(try refusal(.at(first - 1)) == .certificateDate)
    #expect(try refusal(.at(first)) == nil)
    #expect(try refusal(.at(first + 86_400)) == nil)
    #expect(try refusal(.at(first + 86_401)) == .certificateDate)
    #expect(try refusal(.atIssue) == nil)
  }
}
