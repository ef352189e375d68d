import Cryptography
import Errors
import SEVSNP
import TestSupport
import Testing

/// Revocation lists of the model's root, in `Fixtures/model-platform/revoked`.
@Suite struct RevocationTests {
  private func list(_ name: String) throws -> X509RevocationList {
    try #require(
      X509RevocationList.read(Fixture.read("model-platform/revoked/\(name).crl")).first)
  }

  private func outcome(
    _ lists: [X509RevocationList], _ change: (inout AttestationVerifier) -> Void = { _ in }
  ) throws -> (AttestationResult, AttestationCheck.Outcome?) {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    var verifier = AttestationVerifier(
      trust: TrustAnchor.model, time: modelTime, revocationLists: lists)
    change(&verifier)
    let result = verifier.verify(
      report: try processor.sign(processor.fields()).bytes,
      certificates: processor.platform.certificates)
    return (result, result.checks.first { $0.name == .revocation }?.outcome)
  }

  @Test("A block that may be a list under another label is not passed over")
  func noBlockIsPassedOver() throws {
    let text = { (label: String) throws in
      PEM.encode(label, try Fixture.read("model-platform/revoked/none.crl"))
    }
    let lists = try X509RevocationList.read(Array((text("X509 CRL") + text("X509 CRL")).utf8))
    #expect(lists.count == 2)
    let code = refusalCode {
      _ = try X509RevocationList.read(Array((text("X509 CRL") + text("CRL")).utf8))
    }
    #expect(code == .certificateSyntax)
  }

  @Test("Without a list revocation is not checked, and the ledger says so")
  func withoutAListNothingIsSaidOfRevocation() throws {
    let (result, outcome) = try outcome([])
    #expect(result.isAccepted)
    #expect(outcome == .notAsked("no revocation list is given"))
  }

  @Test(
    "A chain is taken only under the root's own list, in force, that names neither root nor issuer",
    arguments: [
      ("none", nil), ("others", nil), ("ask", ErrorCode.certificateRevoked),
      ("ark", .certificateRevoked), ("expired", .certificateDate), ("not-yet", .certificateDate),
      ("pkcs1", .certificateAlgorithm), ("partial", .certificateExtension),
      ("partial-quiet", .certificateExtension), ("delta", .certificateExtension),
      ("duplicate", .certificateExtension), ("algorithm-inside", .certificateAlgorithm),
    ] as [(String, ErrorCode?)])
  func aListDecides(name: String, refusal: ErrorCode?) throws {
    let (result, outcome) = try outcome([list(name)])
    #expect(result.firstFailure?.code == refusal)
    #expect((outcome == .passed) == (refusal == nil))
    // A good list beside it takes nothing back.
    #expect(try self.outcome([list("none"), list(name)]).0.firstFailure?.code == refusal)
  }

  @Test("A list that is a part of one is called that, whether or not it says so critically")
  func aPartOfAListIsCalledThat() throws {
    for (name, said) in [
      ("delta", "revocation list only has the changes since another"),
      ("partial", "revocation list is for a part of what was issued"),
      ("partial-quiet", "revocation list is for a part of what was issued"),
      ("duplicate", "revocation list has an extension twice"),
      ("algorithm-inside", "revocation list names another signature algorithm inside than outside"),
    ] { #expect(try outcome([list(name)]).0.firstFailure?.what.description == said) }
  }

  /// RFC 5280, section 5.1: the list of revoked certificates comes before the extensions.
  @Test("A list of many numbers is read")
  func aLargeListIsRead() throws {
    func value(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
      let count = content.count
      let length: [UInt8] =
        switch count {
        case ..<0x80: [UInt8(count)]
        case ..<0x100: [0x81, UInt8(count)]
        case ..<0x10000: [0x82, UInt8(count >> 8), UInt8(count & 0xFF)]
        default: [0x83, UInt8(count >> 16), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
        }
      return [tag] + length + content
    }
    let parts = try DERValue(list("none").der).children()
    let date = value(0x17, Array("200101000000Z".utf8))
    let numbers = (1...4000).map { number in
      value(0x30, value(0x02, [1, UInt8(number >> 8), UInt8(number & 0xFF)]) + date)
    }
    let fields = try parts[0].children().map { value($0.tag, $0.content) }
    let signed = value(0x30, Array((fields + [value(0x30, Array(numbers.joined()))]).joined()))
    let rest = parts[1...].flatMap { value($0.tag, $0.content) }
    let large = try X509RevocationList(der: value(0x30, signed + rest))
    #expect(large.der.count > 1 << 16)
    #expect(large.namesOneAlgorithm)
    #expect(try outcome([large]).0.firstFailure?.code == .certificateChain)
  }

  @Test("A list of another root says nothing of this one: there must be one of its own")
  func aListOfAnotherRootIsNotEnough() throws {
    let (result, _) = try outcome([list("none")]) { $0.trust = TrustAnchor.model }
    #expect(result.isAccepted)
    let pair = try #require(GenuinePair.all.first)
    let verifier = AttestationVerifier(
      trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue,
      revocationLists: [try list("none")])
    let genuine = verifier.verify(
      report: try Fixture.read(pair.report), certificates: [try certificate(pair.certificate)])
    #expect(genuine.firstFailure?.code == .certificateMissing)
  }

  @Test("A list with any changed byte is refused", arguments: [40, 300, 500, -1])
  func aChangedListIsRefused(place: Int) throws {
    var bytes = try list("none").der
    bytes[place < 0 ? bytes.count + place : place] ^= 1
    guard let changed = try? X509RevocationList(der: bytes) else { return }
    #expect(try outcome([changed]).0.firstFailure != nil)
  }

  @Test("What is no whole list is refused as such, and PEM is taken")
  func onlyWholeListsAreRead() throws {
    let der = try list("ask").der
    for bytes in [[], Array(der.dropLast()), der + [0], try Fixture.read("model-platform/ark.der")]
    {
      #expect(refusalCode { _ = try X509RevocationList.read(bytes) } == .certificateSyntax)
    }
    let text = PEM.encode("X509 CRL", der)
    #expect(try X509RevocationList.read(Array((text + text).utf8)).map(\.der) == [der, der])
    let other = Array(PEM.encode("CERTIFICATE", der).utf8)
    #expect(refusalCode { _ = try X509RevocationList.read(other) } == .certificateSyntax)
  }
}
