import Errors
import Foundation
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct PolicyTests {
  private func policy(_ members: String) throws(MigrationError) -> AttestationPolicy {
    try AttestationPolicy(
      parsing: Array(#"{"schema": "svsm-migration/policy/1", \#(members)}"#.utf8))
  }

  private static let measurement = String(repeating: "5a", count: 48)
  private static let identifier = String(repeating: "5a", count: 32)
  private static let milan =
    #""product": "Milan", "bootLoader": 4, "tee": 0, "snp": 24, "microcode": 219"#

  // MARK: The file

  @Test("Every key of a policy is read as it is written")
  func everyKeyIsRead() throws {
    let read = try AttestationPolicy(parsing: Fixture.read("policies/milan.json"))
    let report = try AttestationReport(Fixture.read("attestation/milan-v3-ccf.report.bin"))
    let level = TCBVersion.Components(bootLoader: 4, tee: 0, snp: 24, microcode: 219)
    #expect(read.measurements?.first == report.measurement)
    #expect(read.measurements?.count == 2)
    #expect(read.minimumTCB?[.milan] == level)
    #expect(read.minimumTCB?.count == 2)
    #expect(read.minimumLaunchTCB?[.milan]?[.snp] == 23)
    #expect(read.requiresCommittedTCB)
    #expect(read.guestPolicy == GuestPolicy(rawValue: 0x3001f))
    #expect(read.minimumGuestSVN == 2)
    #expect(read.familyID == report.fields.familyID)
    #expect(read.imageID == report.fields.imageID)
    #expect(read.reportID == report.fields.reportID)
    #expect(read.reportIDMA == report.fields.reportIDMA)
    #expect(read.hostData == report.fields.hostData)
    #expect(read.idKeyDigests == [report.fields.idKeyDigest])
    #expect(read.chips == [report.chipID])
    #expect(read.requiredPlatform?.setBits == ["ecc", "alias-check-complete"])
    #expect(read.forbiddenPlatform?.setBits == ["tsme"])
    #expect(read.minimumFirmware == FirmwareVersion(major: 1, minor: 55, build: 29))
    let others = try policy(
      #"""
      "providers": ["CN=a", "CN=b"], "authorKeyDigests": ["\#(Self.measurement)"],
      "requiredMitigations": "0x3F"
      """#)
    #expect(others.providers == ["CN=a", "CN=b"])
    #expect(others.authorKeyDigests == [[UInt8](repeating: 0x5a, count: 48)])
    #expect(others.requiredMitigations == 0x3f)
    let turin = try AttestationPolicy(parsing: Fixture.read("policies/turin.json"))
    #expect(turin.minimumTCB?[.turin]?[.fmc] == 1)
  }

  @Test("A chip may have eight bytes, and all bits without a name may be forbidden")
  func shortChipsAndUnknownBitsAreRead() throws {
    let shorter = try policy(#""chips": ["59790fb1c39f35c1"], "reportID": "\#(Self.identifier)""#)
    let report = try AttestationReport(Fixture.read("attestation/turin-v5-ccf.report.bin"))
    #expect(shorter.chips == [report.chipID])
    #expect(shorter.reportID == [UInt8](repeating: 0x5A, count: 32))
    let bits = try policy(#""platformInfo": {"forbidden": ["unknown", "smt"]}"#)
    #expect(bits.forbiddenPlatform?.rawValue == 0xFFFF_FFFF_FFFF_FF01)
  }

  @Test("A policy without a demand demands nothing")
  func aPolicyMayDemandNothing() throws {
    let empty = Array(#"{"schema": "svsm-migration/policy/1"}"#.utf8)
    #expect(try AttestationPolicy(parsing: empty) == AttestationPolicy())
  }

  /// Rows: what stands in a policy, and the place that is refused.
  @Test(
    "A policy that is mistyped is refused, and the place is named",
    arguments: [
      (#""minimunTCB": []"#, "/minimunTCB is not known"),
      (#""a/b~c": 1"#, "/a~1b~0c is not known"),
      (#""chips": ["00"], "chips": ["00"]"#, "/chips occurs twice"),
      (#""measurements": []"#, "/measurements is not valid"),
      (#""measurements": ["5a"]"#, "/measurements/0 is not valid"),
      (#""measurements": ["\#(measurement)", 7]"#, "/measurements/1 is not valid"),
      (#""measurements": "\#(measurement)""#, "/measurements is not valid"),
      (#""idKeyDigests": ["\#(measurement.dropLast())g"]"#, "/idKeyDigests/0 is not valid"),
      (#""minimumTCB": [{\#(milan), "svn": 1}]"#, "/minimumTCB/0/svn is not known"),
      (#""minimumTCB": [{\#(milan)}, {\#(milan)}]"#, "/minimumTCB/1/product is not valid"),
      (#""minimumTCB": [{\#(milan), "tee": 1}]"#, "/minimumTCB/0/tee occurs twice"),
      (#""minimumTCB": [{"product": "Turin"}]"#, "/minimumTCB/0/fmc is missing"),
      (#""minimumTCB": [{"product": "milan"}]"#, "/minimumTCB/0/product is not valid"),
      (#""minimumLaunchTCB": [7]"#, "/minimumLaunchTCB/0 is not valid"),
      (#""minimumTCB": {}"#, "/minimumTCB is not valid"),
      (#""committedTCB": false"#, "/committedTCB is not valid"),
      (#""committedTCB": "true""#, "/committedTCB is not valid"),
      (#""guestPolicy": "30000""#, "/guestPolicy is not valid"),
      (#""guestPolicy": "0x4020000""#, "/guestPolicy is not valid"),
      (#""minimumGuestSVN": 0"#, "/minimumGuestSVN is not valid"),
      (#""minimumGuestSVN": -1"#, "/minimumGuestSVN is not valid"),
      (#""minimumGuestSVN": 4294967296"#, "/minimumGuestSVN is not valid"),
      (#""minimumGuestSVN": 1.5"#, "/minimumGuestSVN is not valid"),
      (#""familyID": "00""#, "/familyID is not valid"),
      (#""hostData": null"#, "/hostData is not valid"),
      (#""providers": ["CN=a", "é"]"#, "/providers/1 is not valid"),
      (#""platformInfo": []"#, "/platformInfo is not valid"),
      (#""platformInfo": {"required": []}"#, "/platformInfo/required is not valid"),
      (
        #""platformInfo": {"required": ["ecc"], "forbidden": ["smt", "ecc"]}"#,
        "/platformInfo/forbidden/1 is not valid"
      ),
      (#""platformInfo": {"forbidden": ["SMT"]}"#, "/platformInfo/forbidden/0 is not valid"),
      (#""minimumFirmware": "1.55""#, "/minimumFirmware is not valid"),
      (#""minimumFirmware": "1.55.0.""#, "/minimumFirmware is not valid"),
      (#""minimumFirmware": "1.256.0""#, "/minimumFirmware is not valid"),
      (#""minimumFirmware": "+1.55.0""#, "/minimumFirmware is not valid"),
      (#""minimumFirmware": "0.0.0""#, "/minimumFirmware is not valid"),
      (#""platformInfo": {"required": ["unknown"]}"#, "/platformInfo/required/0 is not valid"),
      (#""chips": ["\#(String(repeating: "01", count: 9))"]"#, "/chips/0 is not valid"),
      // A key is its bytes: these are other characters that count as the same text.
      (#""id\#u{212A}eyDigests": ["\#(measurement)"]"#, "/id\u{212A}eyDigests is not known"),
      (
        #""minimumTCB": [{"product": "Venice", "fmc": 1, "bootLoader": 1, "tee": 1, "snp": 1}]"#,
        "/minimumTCB/0/bootLoader is not known"
      ),
      (#""requiredMitigations": "0x0""#, "/requiredMitigations is not valid"),
      (#""requiredMitigations": 63"#, "/requiredMitigations is not valid"),
    ])
  func aMistypedPolicyIsRefused(members: String, what: String) {
    let refusal = #expect(throws: MigrationError.self) { try policy(members) }
    #expect(refusal?.code == .policySyntax)
    #expect(refusal?.place?.name == "policy")
    #expect(refusal?.what.description == what)
  }

  @Test("A list of more than 1024 is refused; one of 1024 is taken")
  func listsHaveALimit() throws {
    func chips(_ count: Int) -> String {
      let chip = "\"" + String(repeating: "01", count: 64) + "\""
      return #""chips": [\#([String](repeating: chip, count: count).joined(separator: ","))]"#
    }
    #expect(try policy(chips(1024)).chips?.count == 1024)
    #expect(refusalCode { _ = try policy(chips(1025)) } == .policySyntax)
  }

  // MARK: The checks

  typealias Change = @Sendable (inout AttestationPolicy) -> Void

  /// Rows: a demand on the report of a Milan, the check it makes, and the code when it is not met.
  static let demands: [(change: Change, check: AttestationCheck.Name, refusal: ErrorCode?)] = [
    ({ $0.measurements = [[UInt8](repeating: 1, count: 48)] }, .measurement, .reportMeasurement),
    ({ $0.minimumTCB = [.milan: level(4, 0, 24, 219)] }, .minimumTCB, nil),
    ({ $0.minimumTCB = [.milan: level(4, 0, 24, 220)] }, .minimumTCB, .reportTCB),
    // Higher as one integer; one component is lower.
    ({ $0.minimumTCB = [.milan: level(5, 0, 0, 0)] }, .minimumTCB, .reportTCB),
    ({ $0.minimumTCB = [.milan: level(0, 1, 0, 0)] }, .minimumTCB, .reportTCB),
    ({ $0.minimumTCB = [.milan: level(0, 0, 25, 0)] }, .minimumTCB, .reportTCB),
    ({ $0.minimumTCB = [.genoa: level(0, 0, 0, 0)] }, .minimumTCB, .reportTCB),
    ({ $0.minimumLaunchTCB = [.milan: level(4, 0, 24, 219)] }, .launchTCB, nil),
    ({ $0.minimumLaunchTCB = [.milan: level(4, 0, 25, 0)] }, .launchTCB, .reportTCB),
    ({ $0.requiresCommittedTCB = true }, .committedTCB, nil),
    ({ $0.reportID = [UInt8](repeating: 1, count: 32) }, .identity, .reportIdentity),
    ({ $0.reportIDMA = [UInt8](repeating: 0xFF, count: 32) }, .identity, nil),
    ({ $0.reportIDMA = [UInt8](repeating: 1, count: 32) }, .identity, .reportIdentity),
    ({ $0.guestPolicy = GuestPolicy(rawValue: 0x3001f) }, .guestPolicy, nil),
    ({ $0.guestPolicy = GuestPolicy(rawValue: 0x2001f) }, .guestPolicy, .reportPolicy),
    ({ $0.guestPolicy = GuestPolicy(rawValue: 0x30020) }, .guestPolicy, .reportPolicy),
    ({ $0.guestPolicy = GuestPolicy(rawValue: 0x13001f) }, .guestPolicy, .reportPolicy),
    ({ $0.minimumGuestSVN = 2 }, .guestSVN, nil),
    ({ $0.minimumGuestSVN = 3 }, .guestSVN, .reportIdentity),
    ({ $0.familyID = [1] + [UInt8](repeating: 0, count: 15) }, .identity, nil),
    ({ $0.familyID = [2] + [UInt8](repeating: 0, count: 15) }, .identity, .reportIdentity),
    ({ $0.imageID = [1] + [UInt8](repeating: 0, count: 15) }, .identity, .reportIdentity),
    ({ $0.hostData = [UInt8](repeating: 0, count: 32) }, .hostData, .reportIdentity),
    ({ $0.idKeyDigests = [[UInt8](repeating: 1, count: 48)] }, .idKey, .reportIdentity),
    // The digest is zero, and KEY_INFO says that there is no such key.
    ({ $0.authorKeyDigests = [[UInt8](repeating: 0, count: 48)] }, .authorKey, .reportIdentity),
    ({ $0.chips = [[UInt8](repeating: 0, count: 64)] }, .chipWelcome, .reportChip),
    // What is named there concerns VLEKs.
    ({ $0.providers = ["CN=a"] }, .signerAllowed, nil),
    ({ $0.requiredPlatform = PlatformInfo(rawValue: 0x24) }, .platformInfo, nil),
    ({ $0.requiredPlatform = PlatformInfo(rawValue: 0x34) }, .platformInfo, .reportPlatform),
    ({ $0.forbiddenPlatform = PlatformInfo(rawValue: 0x02) }, .platformInfo, nil),
    ({ $0.forbiddenPlatform = PlatformInfo(rawValue: 0x03) }, .platformInfo, .reportPlatform),
    ({ $0.minimumFirmware = .init(major: 1, minor: 55, build: 29) }, .firmware, nil),
    ({ $0.minimumFirmware = .init(major: 1, minor: 55, build: 30) }, .firmware, .reportPlatform),
    ({ $0.minimumFirmware = .init(major: 0, minor: 255, build: 255) }, .firmware, nil),
    ({ $0.minimumFirmware = .init(major: 2, minor: 0, build: 0) }, .firmware, .reportPlatform),
    ({ $0.requiredMitigations = 1 }, .mitigations, .reportPlatform),
  ]

  private static func level(
    _ bootLoader: UInt8, _ tee: UInt8, _ snp: UInt8, _ microcode: UInt8
  ) -> TCBVersion.Components {
    .init(bootLoader: bootLoader, tee: tee, snp: snp, microcode: microcode)
  }

  private func result(
    _ name: String, leaf: String = "vcek", _ policy: AttestationPolicy
  ) throws -> AttestationResult {
    var verifier = AttestationVerifier(
      trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue)
    verifier.requirements.policy = policy
    return verifier.verify(
      report: try Fixture.read("attestation/\(name).report.bin"),
      certificates: [try certificate("attestation/\(name).\(leaf).der")])
  }

  @Test("A demand on a genuine report makes its own check, with its own code", arguments: demands)
  func aDemandIsACheck(
    change: Change, check: AttestationCheck.Name, refusal: ErrorCode?
  ) throws {
    var policy = AttestationPolicy()
    change(&policy)
    let result = try result("milan-v3-ccf", policy)
    #expect(result.firstFailure?.code == refusal)
    #expect(result.isAccepted == (refusal == nil))
    #expect(result.checks.filter(\.isFailure).map(\.name) == (refusal == nil ? [] : [check]))
    let found = try #require(result.checks.first { $0.name == check })
    #expect((found.outcome == .passed) == (refusal == nil))
  }

  @Test("Without a policy none of its checks is made, and each says so")
  func withoutAPolicyNothingIsDemanded() throws {
    let result = try result("milan-v3-ccf", AttestationPolicy())
    let names = AttestationCheck.Name.allCases
    let first = try #require(names.firstIndex(of: .measurement))
    for check in result.checks[first...] {
      guard case .notAsked = check.outcome else {
        Issue.record("\(check)")
        continue
      }
    }
    #expect(result.isGenuine)
  }

  @Test("Mitigations must be in force now, and have been at launch")
  func bothMitigationVectorsCount() throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    for (launch, current, isGood) in [
      (3, 7, true), (7, 3, true), (1, 3, false), (3, 1, false),
    ] as [(UInt64, UInt64, Bool)] {
      var fields = processor.fields(version: 5)
      (fields.launchMitigations, fields.currentMitigations) = (launch, current)
      var verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)
      verifier.requirements.policy.requiredMitigations = 3
      let result = verifier.verify(
        report: try processor.sign(fields).bytes, certificates: processor.platform.certificates)
      #expect(result.firstFailure?.code == (isGood ? nil : .reportPlatform))
    }
  }

  @Test("Committed firmware counts like the one that runs, and an author key when there is one")
  func whatOnlyAModelShows() throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    func refusal(
      _ change: (inout AttestationReport.Fields) -> Void,
      _ demand: (inout AttestationPolicy) -> Void
    ) throws -> ErrorCode? {
      var fields = processor.fields()
      change(&fields)
      var verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)
      demand(&verifier.requirements.policy)
      return verifier.verify(
        report: try processor.sign(fields).bytes, certificates: processor.platform.certificates
      ).firstFailure?.code
    }
    let firmware = FirmwareVersion(major: 1, minor: 55, build: 29)
    #expect(try refusal({ _ in }, { $0.minimumFirmware = firmware }) == nil)
    #expect(
      try refusal({ $0.committedFirmware.build = 28 }, { $0.minimumFirmware = firmware })
        == .reportPlatform)
    // A version counts as its TCB does.
    #expect(
      try refusal({ $0.committedFirmware.build = 28 }, { $0.requiresCommittedTCB = true })
        == .reportTCB)
    #expect(try refusal({ $0.committedFirmware.build = 30 }, { _ in }) == .reportTCB)
    let key = [UInt8](repeating: 7, count: 48)
    let launch: (inout AttestationReport.Fields) -> Void = {
      $0.keyInfo = KeyInfo(signer: .vcek, hasAuthorKey: true)
      $0.authorKeyDigest = key
    }
    #expect(
      try refusal(launch, { $0.authorKeyDigests = [[UInt8](repeating: 8, count: 48), key] }) == nil)
    #expect(
      try refusal(launch, { $0.authorKeyDigests = [[UInt8](repeating: 8, count: 48)] })
        == .reportIdentity)
    // The digest is there, and KEY_INFO says that it means nothing.
    #expect(
      try refusal({ $0.authorKeyDigest = key }, { $0.authorKeyDigests = [key] }) == .reportIdentity)
  }

  @Test(
    "A VLEK is taken from the providers that are named, and from no other, whatever else is allowed"
  )
  func aVLEKOfAWelcomeProviderIsTaken() throws {
    let name = "milan-v3-vlek-trustee"
    let provider = "CN=cc-us-east-2.amazonaws.com"
    for (providers, allowsVLEK, refusal) in [
      (nil, true, nil), (nil, false, .reportSigningKey), ([provider], false, nil),
      (["CN=a", provider], true, nil), (["CN=a"], true, .reportSigningKey),
      ([String(provider.dropLast())], false, .reportSigningKey),
    ] as [([String]?, Bool, ErrorCode?)] {
      var verifier = AttestationVerifier(
        trust: TrustAnchor.amd, requirements: .anyGuest, time: .atIssue)
      verifier.requirements.allowsVLEK = allowsVLEK
      verifier.requirements.policy.providers = providers
      let report = try Fixture.read("attestation/\(name).report.bin")
      let result = verifier.verify(
        report: report, certificates: [try certificate("attestation/\(name).vlek.der")])
      #expect(result.firstFailure?.code == refusal)
      // Whose VLEK it is cannot be seen without a certificate: not accepted, and not called unwelcome.
      let alone = verifier.verify(report: report, certificates: [])
      #expect(alone.firstFailure?.code == .certificateMissing)
    }
  }

  @Test(
    "A peer's guest policy is held against the one that is handed over, and against the policy's")
  func bothGuestPoliciesCount() throws {
    let processor = ModelSecurityProcessor(try Platform.model(chip: 0))
    let report = try processor.sign(processor.fields()).bytes
    for (own, demanded, refusal) in [
      (0x30000, nil, nil), (0x20000, nil, .reportPolicy), (nil, 0x30000, nil),
      (0x30000, 0x20000, .reportPolicy), (0x20000, 0x30000, .reportPolicy), (0xF0000, 0x30000, nil),
    ] as [(UInt64?, UInt64?, ErrorCode?)] {
      var verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)
      verifier.requirements.guestPolicy = own.map { GuestPolicy(rawValue: $0) }
      verifier.requirements.policy.guestPolicy = demanded.map { GuestPolicy(rawValue: $0) }
      let result = verifier.verify(
        report: report, certificates: processor.platform.certificates)
      #expect(result.firstFailure?.code == refusal)
    }
  }

  @Test("Every level of a policy is compared in the layout of the report's product")
  func levelsFollowTheProduct() throws {
    let turin = TCBVersion.Components(fmc: 1, bootLoader: 1, tee: 1, snp: 4, microcode: 81)
    for (change, isGood) in [
      ({ _ in }, true), ({ $0[.fmc] = 2 }, false), ({ $0[.bootLoader] = 2 }, false),
      ({ $0[.tee] = 2 }, false), ({ $0[.snp] = 5 }, false), ({ $0[.microcode] = 82 }, false),
      ({ $0[.snp] = 3 }, true),
    ] as [((inout TCBVersion.Components) -> Void, Bool)] {
      var level = turin
      change(&level)
      var policy = AttestationPolicy()
      policy.minimumTCB = [.turin: level]
      #expect(try result("turin-v5-ccf", policy).isAccepted == isGood)
    }
  }
}
