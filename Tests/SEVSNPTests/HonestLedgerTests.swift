import Errors
import SEVSNP
import TestSupport
import Testing

/// A ledger says of nothing that it passed that is not so, whatever is demanded or not.
@Suite struct HonestLedgerTests {
  private static let processor = Result { ModelSecurityProcessor(try Platform.model(chip: 0)) }

  private func result(
    _ requirements: AttestationVerifier.Requirements,
    _ change: (inout AttestationReport.Fields) -> Void
  ) throws -> AttestationResult {
    let processor = try Self.processor.get()
    var fields = processor.fields()
    change(&fields)
    let verifier = AttestationVerifier(
      trust: TrustAnchor.model, requirements: requirements, time: modelTime)
    return verifier.verify(
      report: try processor.sign(fields).bytes, certificates: processor.platform.certificates)
  }

  typealias Change = @Sendable (inout AttestationReport.Fields) -> Void

  /// Rows: what a report has that a migration refuses, the check, and what it says when nobody asks.
  static let weaknesses: [(change: Change, check: AttestationCheck.Name, says: String)] = [
    ({ $0.policy.rawValue |= 1 << 19 }, .debug, "debugging is allowed"),
    ({ $0.policy.rawValue |= 1 << 18 }, .migrationAgent, "a migration agent is allowed"),
    ({ $0.reportIDMA[0] = 1 }, .migrationAgent, "a migration agent is associated"),
    ({ $0.vmpl = 2 }, .vmpl, "VMPL 2"),
    ({ $0.chipID = [UInt8](repeating: 0, count: 64) }, .chip, "no chip is named"),
  ]

  @Test("A check that is not demanded says so and what the report has", arguments: weaknesses)
  func whatIsNotDemandedSaysWhatThereIs(
    change: Change, check: AttestationCheck.Name, says: String
  ) throws {
    let lenient = try result(.anyGuest, change)
    #expect(lenient.isAccepted)
    let found = lenient.checks.first { $0.name == check }
    #expect(found?.outcome == .notAsked("not demanded (this report: \(says))"))
    let strict = try result(.init(), change)
    #expect(strict.checks.filter(\.isFailure).map(\.name) == [check])
  }

  @Test("Of a report that nothing is demanded of no demand has passed")
  func noDemandPassesUnasked() throws {
    let names = AttestationCheck.Name.allCases
    let first = try #require(names.firstIndex(of: .signerAllowed))
    let result = try result(.anyGuest) { _ in }
    for check in result.checks[first...] {
      guard case .notAsked(let why) = check.outcome else {
        Issue.record("\(check)")
        continue
      }
      #expect(why.hasPrefix("not demanded (this report: "))
    }
    let passed = try self.result(.init()) { _ in }.checks.filter { $0.outcome == .passed }
    #expect(
      Set([.debug, .migrationAgent, .vmpl, .chip, .signerAllowed]).isSubset(of: passed.map(\.name)))
  }

  @Test(
    "A report of no guest's level is refused whatever is demanded", arguments: [4, 5, UInt32.max])
  func noGuestAskedForIt(level: UInt32) throws {
    let result = try result(.anyGuest) { $0.vmpl = level }
    #expect(result.firstFailure?.code == .reportVMPL)
    #expect(result.checks.filter(\.isFailure).map(\.name) == [.requester])
  }

  @Test("A certificate for CURRENT_TCB in place of REPORTED_TCB is called that")
  func theOtherTCBIsNamed() throws {
    let current = TCBVersion(
      .init(bootLoader: 4, tee: 0, snp: 24, microcode: 219), for: .milan)
    let older = TCBVersion(.init(bootLoader: 4, tee: 0, snp: 5, microcode: 219), for: .milan)
    let result = try result(.anyGuest) {
      ($0.currentTCB, $0.committedTCB, $0.launchTCB) = (current, current, current)
      $0.reportedTCB = older
    }
    let refusal = try #require(result.firstFailure)
    #expect(refusal.code == .reportTCB)
    #expect(refusal.what == "certificate is for CURRENT_TCB, not for REPORTED_TCB")
    // Bytes that mean nothing are shown where only they differ.
    let odd = try self.result(.anyGuest) { $0.reportedTCB.rawValue |= 1 << 16 }
    let bytes = try #require(odd.checks.first { $0.name == .tcb })
    guard case .failed(let error) = bytes.outcome else {
      Issue.record("\(bytes)")
      return
    }
    #expect(error.expected != error.got)
  }

  @Test("What no good signature holds is not vouched for, and its form is still checked")
  func whatNobodySignedIsNotVouchedFor() throws {
    let processor = try Self.processor.get()
    let verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)
    func unvouched(
      _ names: [String], _ change: (inout [UInt8]) -> Void = { _ in }
    ) throws -> Set<AttestationCheck.Name> {
      var bytes = try processor.sign(processor.fields()).bytes
      change(&bytes)
      let certificates = try names.map { try certificate("model-platform/\($0).der") }
      let result = verifier.verify(report: bytes, certificates: certificates)
      #expect(result.isAccepted == (names == ["chip-0/vcek"] && bytes[0x90] == 0))
      let passed = result.checks.filter { $0.outcome == .passed }
      return Set(passed.filter { !result.isVouched($0) }.map(\.name))
    }
    let ofReport: Set<AttestationCheck.Name> = [.requester, .vmpl, .debug, .migrationAgent]
    #expect(try unvouched(["chip-0/vcek"]).isEmpty)
    // The measurement is another, or nobody says whose key signed, or an authority may not sign.
    let changed = try unvouched(["chip-0/vcek"]) { $0[0x90] = 1 }
    #expect(ofReport.union([.product, .chip, .tcb, .tcbOrder, .signerAllowed]) == changed)
    #expect(try unvouched([]).isSuperset(of: ofReport))
    #expect(try unvouched(["variants/expired"]).isSuperset(of: ofReport))
    // Nobody signed these certificates either.
    let chain = try unvouched(["variants/under-other-ask", "variants/other-ask"])
    #expect(chain.isSuperset(of: ofReport.union([.root, .dates, .names, .extensions])))
    #expect(chain.isDisjoint(with: [.form, .reserved, .signature, .leafSigned]))
  }

  @Test("A root with a trusted root's name and another key is told from it")
  func aNamesakeIsToldFromTheRoot() throws {
    let processor = try Self.processor.get()
    let names = ["under-other-ask", "other-ask", "other-ark"]
    let verifier = AttestationVerifier(trust: TrustAnchor.model, time: modelTime)
    let result = verifier.verify(
      report: try processor.sign(processor.fields()).bytes,
      certificates: try names.map { try certificate("model-platform/variants/\($0).der") })
    let refusal = try #require(result.firstFailure)
    #expect(refusal.code == .certificateRoot)
    #expect(refusal.got?.description.contains("another key of") == true)
  }
}
