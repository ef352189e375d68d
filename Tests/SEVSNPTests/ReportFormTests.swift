import Cryptography
import Errors
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct ReportFormTests {
  /// The code each inverted byte of a version 3 report is refused with, whatever comes first.
  static func refusal(at offset: Int) -> ErrorCode {
    switch offset {
    case 0x000..<0x004: .reportVersion
    case 0x00A..<0x010: .reportPolicy
    // No guest's level; what names another TCB or chip comes before the signature that fails with it.
    case 0x030..<0x034: .reportVMPL
    case 0x034..<0x038: .reportAlgorithm
    // Bytes of TCBs that mean nothing on a Milan.
    case 0x03A..<0x03E, 0x182..<0x186, 0x1E2..<0x1E6, 0x1F2..<0x1F6: .reportReserved
    case 0x180..<0x188: .reportTCB
    case 0x1A0..<0x1E0: .reportChip
    // KEY_INFO's reserved bits, then the reserved ranges.
    case 0x048..<0x050, 0x18B..<0x1A0, 0x1EB, 0x1EF, 0x1F8..<0x2A0, 0x2D0..<0x2E8, 0x318..<0x4A0:
      .reportReserved
    case 0x188, 0x189: .reportProduct
    default: .reportSignature
    }
  }

  @Test func everyChangedByteOfAGenuineReportIsRefused() throws {
    let bytes = try Fixture.read("attestation/milan-v3-azure-a-trustee.report.bin")
    let certificates = [try certificate("attestation/milan-v3-azure-a-trustee.vcek.der")]
    let verifier = AttestationVerifier(
      trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue)
    for offset in bytes.indices {
      var changed = bytes
      changed[offset] ^= 0xFF
      let result = verifier.verify(report: changed, certificates: certificates)
      #expect(
        result.firstFailure?.code == Self.refusal(at: offset), "byte 0x\(String(offset, radix: 16))"
      )
      #expect(!result.isAccepted)
    }
  }

  @Test(arguments: [
    (
      version: 2, name: "milan-v2-virtee",
      zero: [0x04C..<0x050, 0x188..<0x1A0, 0x1EB..<0x1EC, 0x1EF..<0x1F0, 0x1F8..<0x2A0]
    ),
    (
      3, "milan-v3-ccf",
      [0x04C..<0x050, 0x18B..<0x1A0, 0x1EB..<0x1EC, 0x1EF..<0x1F0, 0x1F8..<0x2A0]
    ),
    (
      5, "turin-v5-ccf",
      [0x04C..<0x050, 0x18B..<0x1A0, 0x1EB..<0x1EC, 0x1EF..<0x1F0, 0x208..<0x2A0]
    ),
  ])
  func reservedBytesFollowTheVersion(version: Int, name: String, zero: [Range<Int>]) throws {
    let bytes = try Fixture.read("attestation/\(name).report.bin")
    let unsigned = [0x2D0..<0x2E8, 0x318..<0x330, 0x330..<0x4A0]
    // Milan and Genoa have levels in bytes 0, 1, 6 and 7, Turin in 0 to 3 and 7.
    let levels = [0x038, 0x180, 0x1E0, 0x1F0].map { tcb in
      version == 5 ? tcb + 4..<tcb + 7 : tcb + 2..<tcb + 6
    }
    let reserved = (zero + unsigned + levels).reduce(into: Set<Int>()) { $0.formUnion($1) }
    for offset in bytes.indices where offset < 0x2A0 || reserved.contains(offset) {
      var changed = bytes
      changed[offset] ^= 1
      do {
        _ = try AttestationReport(changed)
        #expect(!reserved.contains(offset))
      } catch  where error.code == .reportReserved && reserved.contains(offset) {
        #expect(error.offset == UInt64(offset))
      } catch {
        // A version, a policy, a key or an algorithm that is none; from 3 to 2 the CPU identity
        // turns into reserved bytes.
        #expect(
          [0x000..<0x004, 0x00A..<0x010, 0x034..<0x038, 0x049..<0x04C].contains {
            $0.contains(offset)
          },
          "byte \(offset): \(error)")
      }
    }
  }

  @Test(arguments: [0, 1, 0x49F, 0x4A1, 0x1000])
  func anotherLengthIsNoReport(length: Int) {
    #expect(
      refusalCode { _ = try AttestationReport([UInt8](repeating: 2, count: length)) }
        == .reportLength)
  }

  @Test(arguments: [0, 1, 6, 0xFFFF_FFFF] as [UInt32])
  func anUnknownVersionIsRefused(version: UInt32) throws {
    var bytes = try Fixture.read("attestation/milan-v3-ccf.report.bin")
    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: version >> (8 * UInt32(index))) }
    #expect(refusalCode { _ = try AttestationReport(bytes) } == .reportVersion)
  }

  @Test(
    arguments: [
      (keyInfo: 0x02, code: ErrorCode.reportSigningKey), (0x08, .reportSigningKey),
      (0x18, .reportSigningKey), (0x1C, .reportSigningKey), (0x20, .reportReserved),
      (0x01, nil), (0x04, nil),
    ] as [(UInt8, ErrorCode?)])
  func onlyAVCEKOrVLEKSigns(keyInfo: UInt8, refusal: ErrorCode?) throws {
    var bytes = try Fixture.read("attestation/milan-v3-ccf.report.bin")
    bytes[0x48] = keyInfo
    #expect(refusalCode { _ = try AttestationReport(bytes) } == refusal)
  }

  @Test(arguments: [0x2A0, 0x2E8])
  func signatureNumbersAreInRange(offset: Int) throws {
    let bytes = try Fixture.read("attestation/milan-v3-ccf.report.bin")
    // The order of P-384 (FIPS 186-4, D.1.2.4).
    let order = try #require(
      Hex.decode(
        String(repeating: "f", count: 48)
          + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973"
      ))
    func refusal(_ number: [UInt8]) -> ErrorCode? {
      var changed = bytes
      changed.replaceSubrange(offset..<offset + 48, with: number.reversed())
      return refusalCode { _ = try AttestationReport(changed) }
    }
    #expect(refusal([UInt8](repeating: 0, count: 48)) == .reportSignature)
    #expect(refusal(order) == .reportSignature)
    #expect(refusal([UInt8](repeating: 0xFF, count: 48)) == .reportSignature)
    #expect(refusal(order.dropLast() + [order[47] - 1]) == nil)
    #expect(refusal([UInt8](repeating: 0, count: 47) + [1]) == nil)
  }

  @Test func fieldsOfATurinReportAreRead() throws {
    let report = try AttestationReport(Fixture.read("attestation/turin-v5-ccf.report.bin"))
    #expect(report.version == 5)
    #expect(report.cpu == CPUIdentity(family: 0x1A, model: 0x02, stepping: 1))
    #expect(report.fields.product == .turin)
    #expect(report.platformInfo.rawValue == 0x65)
    #expect(
      report.platformInfo.setBits == ["smt", "ecc", "alias-check-complete", "iommu-write-safe"])
    #expect(report.policy.rawValue == 0x3001F)
    #expect(report.policy.setBits == ["smt"])
    #expect(report.policy.abiMinor == 31)
    #expect(report.launchMitigations == 0x3F)
    #expect(report.currentMitigations == 0x3F)
    #expect(report.reportedTCB.hex == "0101010400000051")
    #expect("\(report.currentFirmware)" == "1.55.65")
    #expect(report.fields.hasNoMigrationAgent)
    #expect(HCLReport.Layout.range(of: \.report).count == AttestationReport.Layout.size)
  }

  @Test(
    arguments: [
      (own: 0x3_0000, other: 0x3_0000, stricter: true), (0x2_0000, 0x3_0000, true),
      (0x3_0000, 0x2_0000, false), (0xB_0000, 0x3_0000, false), (0x7_0000, 0x3_0000, false),
      (0x23_0000, 0x3_0000, false), (0x13_0000, 0x3_0000, true), (0x3_0000, 0x13_0000, false),
      (0x3C3_0000, 0x3_0000, true), (0x343_0000, 0x3C3_0000, false), (0x3_001F, 0x3_001E, true),
      (0x3_001E, 0x3_001F, false), (0x3_0100, 0x3_00FF, true), (0x3_00FF, 0x3_0100, false),
    ] as [(UInt64, UInt64, Bool)])
  func policiesCompareByDirection(own: UInt64, other: UInt64, stricter: Bool) {
    let policies = [own, other].map { GuestPolicy(rawValue: $0) }
    #expect(policies[0].isAtLeastAsStrict(as: policies[1]) == stricter)
  }
}
