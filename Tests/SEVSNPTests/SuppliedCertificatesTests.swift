import Cryptography
import Errors
import Foundation
import JSON
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct SuppliedCertificatesTests {
  private let name = "attestation/genoa-v3-veraison"

  private func table() throws -> CertificateTable {
    try CertificateTable(Fixture.read("\(name).certtable.bin"))
  }

  private func isGenuine(_ bytes: [UInt8]) throws -> Bool {
    let supplied = try SuppliedCertificates(file: bytes)
    let verifier = AttestationVerifier(
      trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue)
    return verifier.verify(
      report: try Fixture.read("\(name).report.bin"), supplied: supplied
    ).isGenuine
  }

  private func pem() throws -> [UInt8] {
    Array(try certificate("\(name).vcek.der").pem.utf8)
  }

  /// Hosts write them in any order. The first line of a text comes right after the list of entries.
  @Test(arguments: [
    [0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [2], [2, 1],
  ])
  func aTableOfPEMTextsIsOneInEveryOrder(order: [Int]) throws {
    var table = try table()
    let entries = table.entries
    table.entries = order.map { entries[$0] }
    #expect(try isGenuine(table.bytes()))
    for index in table.entries.indices where table.entries[index].content.last == 0x0A {
      table.entries[index].content.removeLast()
    }
    #expect(try isGenuine(table.bytes()), "without an end of the last line")
  }

  @Test func theRulesOfATableHoldForPEMTexts() throws {
    var bytes = try Fixture.read("\(name).certtable.bin")
    bytes.replaceSubrange(24..<40, with: bytes[0..<16])
    let said = refusal { _ = try SuppliedCertificates(file: bytes) }
    #expect(said?.code == .certificateTable)
    #expect(said?.offset == 24)
  }

  @Test func anEntryWithoutContentIsNone() throws {
    var table = try table()
    table.entries.insert(.init(.vlek, []), at: 1)
    var bytes = try table.bytes()
    #expect(try isGenuine(bytes))
    // Wherever it says that its content is.
    bytes.replaceSubrange(40..<44, with: [0, 0, 0, 0])
    #expect(try isGenuine(bytes))
  }

  @Test func unknownEntriesAreCountedAndSaid() throws {
    var bytes = try Fixture.read("\(name).certtable.bin")
    for start in [0, 24, 48] {
      let guid = Array(bytes[start..<start + 8])
      for (place, other) in [3, 2, 1, 0, 5, 4, 7, 6].enumerated() {
        bytes[start + place] = guid[other]
      }
    }
    let supplied = try SuppliedCertificates(file: bytes)
    #expect(supplied.certificates.isEmpty)
    #expect(supplied.unknownEntries == 3)
    #expect(supplied.mixedEndianEntries == 3)
    let verifier = AttestationVerifier(
      trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue)
    let failure = verifier.verify(
      report: try Fixture.read("\(name).report.bin"), supplied: supplied
    ).firstFailure
    #expect(failure?.code == .certificateMissing)
    #expect(failure?.got?.description == supplied.note)
    #expect(
      supplied.note?.contains("3 entries of the certificate table are of unknown kind") == true)
  }

  @Test func anEmptyTableIsSaid() throws {
    let supplied = try SuppliedCertificates(file: [UInt8](repeating: 0, count: 4096))
    #expect(supplied.certificates.isEmpty)
    #expect(supplied.note == "the certificate table is empty")
  }

  @Test func certificatesAreReadHoweverTheyAreWritten() throws {
    let pem = try pem()
    let der = try Fixture.read("\(name).vcek.der")
    let text = Data(der).base64EncodedString()
    let json = #"{"vcekCert": \#(quoted(pem)), "tcbm": "0", "certificateChain": \#(quoted(pem))}"#
    for (what, bytes) in [
      ("DER", der), ("PEM", pem), ("a byte order mark", [0xEF, 0xBB, 0xBF] + pem),
      ("text around", Array("subject=CN = ä\n".utf8) + pem + Array("after".utf8)),
      ("hex", Array(Hex.encode(der).utf8)), ("Base64", Array(text.utf8)),
      ("JSON", Array(json.utf8)),
      ("Base64 of JSON", Array(Data(json.utf8).base64EncodedString().utf8)),
      ("CRLF", Array(String(decoding: pem, as: UTF8.self).replacing("\n", with: "\r\n").utf8)),
    ] as [(String, [UInt8])] {
      #expect(try isGenuine(bytes), "\(what)")
    }
  }

  @Test("Of a key of JSON that comes twice no certificate is taken")
  func noCertificateIsChosen() throws {
    let pem = quoted(try pem())
    for (text, key) in [
      (#"{"vcekCert": \#(pem), "vcekCert": \#(pem)}"#, "vcekCert"),
      (
        #"{"vcekCert": \#(pem), "certificateChain": \#(pem), "certificateChain": \#(pem)}"#,
        "certificateChain"
      ),
      (#"{"vcekCert": \#(pem), "tcbm": "0", "tcbm": "1"}"#, "tcbm"),
    ] {
      let said = refusal { _ = try SuppliedCertificates(file: Array(text.utf8)) }
      #expect(said?.code == .certificateSyntax)
      #expect(said?.what == "\(key) occurs twice")
    }
  }

  private func quoted(_ text: [UInt8]) -> String {
    "\"" + String(decoding: text, as: UTF8.self).replacing("\n", with: "\\n") + "\""
  }

  /// A file that is no certificate is said to be what it looks like, with what to do.
  @Test func whatIsNoCertificateIsSaid() throws {
    let pem = String(decoding: try pem(), as: UTF8.self)
    let der = try Fixture.read("\(name).vcek.der")
    let trusted = pem.replacing("CERTIFICATE", with: "TRUSTED CERTIFICATE")
    var utf16: [UInt8] = [0xFF, 0xFE]
    for character in pem.utf8 { utf16 += [character, 0] }
    let signedData: [UInt8] =
      [0x30, 0x81, 0x8C, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02]
      + [0xA0, 0x7F] + [UInt8](repeating: 0, count: 0x7F)
    let cases: [(bytes: [UInt8], said: String)] = [
      ([], "an empty file"), (Array("404 - Not Found".utf8), "404 - Not Found"),
      (Array("<!DOCTYPE html>".utf8), "HTML"),
      (Array(#"{"message":"Too Many Requests"}"#.utf8), "Too Many Requests"), (utf16, "UTF-16"),
      (Array(trusted.utf8), "openssl x509"),
      (Array(pem.replacing("CERTIFICATE", with: "PKCS7").utf8), "openssl pkcs7"),
      (Array(pem.replacing("\n", with: "\\n").utf8), "written as \\n"),
      (signedData, "openssl pkcs7"),
      (der + [0x0A], "1 byte after it"), (der + [0, 0], "2 zero bytes after it"),
      (der + der, "several"),
      (Array(der.dropLast(5)), "the first \(der.count - 5) of \(der.count)"),
      ([1, 2, 3], "3 bytes that begin with 010203"),
    ]
    for (bytes, said) in cases {
      let found = refusal { _ = try SuppliedCertificates(file: bytes) }
      #expect(found?.code == .certificateSyntax, "\(said)")
      #expect(found?.got?.description.contains(said) == true, "\(found?.description ?? "nothing")")
    }
  }
}
