import Wire

/// Forms in which reports travel, made of genuine ones.
package enum ReportForms {
  /// MSG_REPORT_RSP: status 0, the size, reserved bytes, the report.
  package static func response(_ report: [UInt8]) -> [UInt8] {
    [0, 0, 0, 0, 0xA0, 4, 0, 0] + [UInt8](repeating: 0, count: 24) + report
  }

  /// The same in the buffer of Linux.
  package static func responseBuffer(_ report: [UInt8]) -> [UInt8] {
    let response = response(report)
    return response + [UInt8](repeating: 0, count: 4000 - response.count)
  }

  /// What a vTPM on Azure gives for the report and claims of the fixture `azure`.
  /// - Parameters:
  ///   - type: 2 is SEV-SNP.
  ///   - hash: 1 is SHA-256.
  package static func hcl(type: UInt32 = 2, hash: UInt32 = 1) throws -> [UInt8] {
    let claims = try Fixture.read("\(azure).binding.json")
    var bytes = Array("HCLA".utf8)
    for word: UInt32 in [1, 1184, 2, 0, 0, 0, 0] { bytes.append(littleEndian: word) }
    bytes += try Fixture.read("\(azure).report.bin")
    for word in [UInt32(20 + claims.count), 1, type, hash, UInt32(claims.count)] {
      bytes.append(littleEndian: word)
    }
    return bytes + claims + [UInt8](repeating: 0, count: 254)
  }

  package static let azure = "attestation/milan-v2-azure-trustee"
}
