import Cryptography
import Errors
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct CertificateReadingTests {
  @Test func aGenuineLeafIsReadInAllParts() throws {
    let leaf = try certificate("attestation/milan-v3-ccf.vcek.der")
    #expect(leaf.version == 3)
    #expect(leaf.serialNumber == [])
    #expect(
      "\(leaf.subject)"
        == "OU=Engineering, C=US, L=Santa Clara, ST=CA, O=Advanced Micro Devices, CN=SEV-VCEK")
    #expect(leaf.issuer.commonName == "SEV-Milan")
    #expect(CivilDate.text(leaf.notBefore) == "2026-02-05T01:04:33Z")
    #expect(CivilDate.text(leaf.notAfter) == "2033-02-05T01:04:33Z")
    #expect("\(leaf.publicKey)" == "EC P-384")
    #expect(leaf.signatureAlgorithm == .rsaPSSSHA384)
    #expect(leaf.extensions.count == 11)
    #expect(leaf.repeatedExtension == nil)
    #expect(leaf["1.3.6.1.4.1.3704.1.2"]?.value == [0x16, 8] + Array("Milan-B0".utf8))
    #expect(try leaf.basicConstraints() == nil)
    #expect(try !leaf.maySignCertificates())
  }

  @Test func aGenuineAuthorityIsReadInAllParts() throws {
    let ask = try certificate("attestation/ca/milan-ask.der")
    #expect(ask.serialNumber == [0x01, 0x00, 0x01])
    #expect(ask.publicKey == .rsa(bits: 4096))
    #expect(try ask.basicConstraints()?.isCA == true)
    #expect(try ask.basicConstraints()?.pathLength == 0)
    #expect(try ask.maySignCertificates())
    #expect(try ask.revocationListLocations() == ["https://kdsintf.amd.com/vcek/v1/Milan/crl"])
    let ark = try certificate("attestation/ca/milan-ark.der")
    #expect(ask.isSigned(by: ark))
    #expect(ark.isSigned(by: ark))
    #expect(!ark.isSigned(by: ask))
    #expect(ark.keyFingerprint.count == 48)
    #expect(ark.keyFingerprint != ask.keyFingerprint)
  }

  /// The older form of the same algorithm writes the default trailer field out.
  @Test func pssParametersAreComparedByMeaning() throws {
    let algorithms = try [
      "attestation/milan-v3-ccf.vcek.der", "attestation/genoaclass-v5-a-lunal.vcek.der",
      "attestation/turin-v5-ccf.vcek.der", "attestation/ca/turin-asvk.der",
      "model-platform/ask.der",
    ].map { try certificate($0).signatureAlgorithm }
    #expect(algorithms.allSatisfy { $0 == .rsaPSSSHA384 })
    #expect(
      try certificate("model-platform/variants/salt-32.der").signatureAlgorithm != .rsaPSSSHA384)
    #expect(
      try certificate("model-platform/variants/pkcs1.der").signatureAlgorithm
        == .other("1.2.840.113549.1.1.12"))
  }

  @Test func oneKeyInTwoCertificatesHasOneFingerprint() throws {
    let pair = try ["vcek", "vcek2"].map { try certificate("attestation/milan-v3-ccf.\($0).der") }
    #expect(pair[0] != pair[1])
    #expect(pair[0].keyFingerprint == pair[1].keyFingerprint)
  }

  @Test func chainsInPEMAreRead() throws {
    let chain = try X509Certificate.read(Fixture.read("attestation/ca/genoa-vlek-chain.pem"))
    let files = try ["asvk", "ark"].map { try certificate("attestation/ca/genoa-\($0).der") }
    #expect(chain == files)
    #expect(try X509Certificate.read(Array(chain[0].pem.utf8)) == [chain[0]])
    #expect(try X509Certificate.read(chain[0].der) == [chain[0]])
  }

  @Test(
    "A version that X.509 does not have is refused, whatever integer it is",
    arguments: ["020103", "02017f", "0201ff", "02087fffffffffffffff", "02088000000000000000"])
  func aVersionIsOneOfThree(integer: String) throws {
    let der = try certificate("model-platform/chip-0/vcek.der").der
    let bytes = try #require(Hex.decode(integer))
    // The version is the first value of the certificate: [0] { INTEGER 2 }, after two headers.
    try #require(der[8..<13].elementsEqual([0xA0, 3, 2, 1, 2]))
    var changed = Array(der[..<8]) + [0xA0, UInt8(bytes.count)] + bytes + der[13...]
    for place in [2, 6] {
      let length = UInt16(der[place]) << 8 + UInt16(der[place + 1]) + UInt16(bytes.count) - 3
      changed[place] = UInt8(length >> 8)
      changed[place + 1] = UInt8(length & 0xFF)
    }
    #expect(refusalCode { _ = try X509Certificate(der: changed) } == .certificateSyntax)
  }

  @Test func everyCutAndEveryAppendedByteIsRefused() throws {
    let der = try Fixture.read("model-platform/chip-0/vcek.der")
    for length in der.indices {
      #expect(
        refusalCode { _ = try X509Certificate(der: Array(der[..<length])) } == .certificateSyntax)
    }
    #expect(refusalCode { _ = try X509Certificate(der: der + [0]) } == .certificateSyntax)
    #expect(
      refusalCode { _ = try X509Certificate.read([UInt8](repeating: 0x30, count: 1 << 17)) }
        == .certificateSyntax)
    #expect(
      refusalCode {
        _ = try X509Certificate.read(Array("-----BEGIN X-----\nZg==\n-----END X-----".utf8))
      } == .certificateSyntax)
  }

  /// No changed byte may make the verifier trap or accept; outside the signature most are
  /// refused by the parser or the chain.
  @Test func everyChangedByteOfACertificateIsRefused() throws {
    let der = try Fixture.read("model-platform/chip-0/vcek.der")
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    let report = try processor.sign(processor.fields()).bytes
    let verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)
    for index in der.indices {
      var changed = der
      changed[index] ^= 0x01
      guard let leaf = try? X509Certificate(der: changed) else { continue }
      let result = verifier.verify(report: report, certificates: [leaf])
      #expect(!result.isAccepted, "byte \(index)")
    }
  }
}
