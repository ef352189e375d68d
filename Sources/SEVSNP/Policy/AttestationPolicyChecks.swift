internal import Errors
internal import Wire

/// The checks that a policy demands.
extension AttestationVerifier {
  /// - Parameter endorsement: the extensions of the report's certificate; nil when they were not
  ///   read.
  func checkPolicy(
    _ report: AttestationReport, _ endorsement: EndorsementExtensions?,
    _ ledger: inout AttestationLedger
  ) {
    let policy = requirements.policy
    demand(.measurement, policy.measurements, has: Self.short(report.measurement), &ledger) {
      (welcome) throws(MigrationError) in
      try Self.require(
        report.measurement, amongst: welcome, .reportMeasurement,
        "guest was launched from another image", at: AttestationReport.offset(of: \.measurement))
    }
    checkLevels(report, report.product ?? endorsement?.product, &ledger)
    checkGuestPolicy(report, &ledger)
    checkIdentity(report, &ledger)
    demand(.chipWelcome, policy.chips, has: Self.short(report.chipID), &ledger) {
      (welcome) throws(MigrationError) in
      try Self.require(
        report.chipID, amongst: welcome, .reportChip,
        report.fields.masksChipID ? "report does not name its chip" : "chip is not accepted",
        at: AttestationReport.offset(of: \.chipID))
    }
    checkPlatform(report, &ledger)
  }

  /// Makes the check `name` if it is demanded.
  /// - Parameter found: what the report contains, to be shown when it is not demanded.
  private func demand<Demand>(
    _ name: AttestationCheck.Name, _ demand: Demand?, has found: String,
    _ ledger: inout AttestationLedger, _ check: (Demand) throws(MigrationError) -> Void
  ) {
    guard let demand else { return ledger.notDemanded(name, has: found) }
    ledger.check(name) { () throws(MigrationError) in try check(demand) }
  }

  private static func require(
    _ found: [UInt8], amongst welcome: [[UInt8]], _ code: ErrorCode, _ what: String,
    at offset: UInt64
  ) throws(MigrationError) {
    guard welcome.contains(found) else {
      throw MigrationError(
        code, what, in: .report, at: offset,
        expected: welcome.count == 1 ? Hex.encode(welcome[0]) : "one of \(welcome.count)",
        got: Hex.encode(found))
    }
  }

  // MARK: TCB versions

  /// - Parameter product: nil when neither certificate nor report names it, so that nothing can be
  ///   compared.
  private func checkLevels(
    _ report: AttestationReport, _ product: Product?, _ ledger: inout AttestationLedger
  ) {
    let policy = requirements.policy
    let levels: [(AttestationCheck.Name, [Product: TCBVersion.Components]?, TCBVersion, UInt64)] = [
      (
        .minimumTCB, policy.minimumTCB, report.reportedTCB,
        AttestationReport.offset(of: \.reportedTCB)
      ),
      (
        .launchTCB, policy.minimumLaunchTCB, report.launchTCB,
        AttestationReport.offset(of: \.launchTCB)
      ),
    ]
    for (name, minimum, version, offset) in levels where minimum == nil || product != nil {
      let found = product.map { "\(version.components(for: $0))" } ?? version.hex
      demand(name, minimum, has: found, &ledger) { (minimum) throws(MigrationError) in
        try Self.require(version, atLeast: minimum, product, at: offset)
      }
    }
    demand(
      .committedTCB, policy.requiresCommittedTCB ? true : nil,
      has: report.fields.canBeRolledBack
        ? "firmware can be rolled back" : "all firmware is committed", &ledger
    ) { (_) throws(MigrationError) in
      let (committed, current) = (report.committedTCB, report.currentTCB)
      guard committed == current else {
        throw MigrationError(
          .reportTCB, "platform runs firmware that is not committed", in: .report,
          at: AttestationReport.offset(of: \.committedTCB),
          expected: current.text(beside: committed, for: product),
          got: committed.text(beside: current, for: product))
      }
      guard report.committedFirmware == report.currentFirmware else {
        throw MigrationError(
          .reportTCB, "platform runs firmware whose version is not committed", in: .report,
          at: AttestationReport.offset(of: \.committedVersion),
          expected: "\(report.currentFirmware)", got: "\(report.committedFirmware)")
      }
    }
  }

  private static func require(
    _ version: TCBVersion, atLeast minimum: [Product: TCBVersion.Components], _ product: Product?,
    at offset: UInt64
  ) throws(MigrationError) {
    guard let product, let least = minimum[product] else {
      throw MigrationError(
        .reportTCB, "policy names no lowest TCB for this product", in: .report, at: offset,
        expected: minimum.keys.map(\.rawValue).sorted().joined(separator: ", "),
        got: product?.rawValue)
    }
    let found = version.components(for: product)
    guard found.isAtLeast(least) else {
      throw MigrationError(
        .reportTCB, "TCB is older than demanded", in: .report, at: offset,
        expected: "at least \(least)", got: "\(found)")
    }
  }

  // MARK: The guest

  private func checkGuestPolicy(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    let floors = [
      (requirements.guestPolicy, "guest's policy is less strict than its peer's"),
      (requirements.policy.guestPolicy, "guest's policy is less strict than demanded"),
    ].compactMap { (floor, what) in floor.map { ($0, what) } }
    demand(
      .guestPolicy, floors.isEmpty ? nil : floors, has: Hex.number(report.policy.rawValue), &ledger
    ) { (floors) throws(MigrationError) in
      for (floor, what) in floors {
        guard report.policy.isAtLeastAsStrict(as: floor) else {
          throw MigrationError(
            .reportPolicy, what, in: .report, at: AttestationReport.offset(of: \.policy),
            expected: "at least as strict as \(Hex.number(floor.rawValue))",
            got: Hex.number(report.policy.rawValue))
        }
      }
    }
  }

  private func checkIdentity(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    let policy = requirements.policy
    let fields = report.fields
    demand(.guestSVN, policy.minimumGuestSVN, has: "\(fields.guestSVN)", &ledger) {
      (least) throws(MigrationError) in
      guard fields.guestSVN >= least else {
        throw MigrationError(
          .reportIdentity, "guest's security version is older than demanded", in: .report,
          at: AttestationReport.offset(of: \.guestSVN), expected: "at least \(least)",
          got: "\(fields.guestSVN)")
      }
    }
    let names = [
      (
        policy.familyID, fields.familyID, AttestationReport.offset(of: \.familyID),
        "guest is of another family"
      ),
      (
        policy.imageID, fields.imageID, AttestationReport.offset(of: \.imageID),
        "guest is of another image"
      ),
      (
        policy.reportID, fields.reportID, AttestationReport.offset(of: \.reportID),
        "guest was launched at another time"
      ),
      (
        policy.reportIDMA, fields.reportIDMA, AttestationReport.offset(of: \.reportIDMa),
        "guest has another migration agent"
      ),
    ].compactMap { (wanted, found, offset, what) in wanted.map { ($0, found, offset, what) } }
    let found =
      "family \(Self.short(fields.familyID)), image \(Self.short(fields.imageID)), report ID "
      + Self.short(fields.reportID)
    demand(.identity, names.isEmpty ? nil : names, has: found, &ledger) {
      (names) throws(MigrationError) in
      for (wanted, found, offset, what) in names {
        try Self.require(found, amongst: [wanted], .reportIdentity, what, at: offset)
      }
    }
    demand(.hostData, policy.hostData, has: Self.short(fields.hostData), &ledger) {
      (wanted) throws(MigrationError) in
      try Self.require(
        fields.hostData, amongst: [wanted], .reportIdentity,
        "guest was launched with other host data", at: AttestationReport.offset(of: \.hostData))
    }
    checkKeys(report, &ledger)
  }

  /// Checks the keys that vouched for the guest's launch.
  private func checkKeys(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    let (policy, fields) = (requirements.policy, report.fields)
    demand(.idKey, policy.idKeyDigests, has: Self.short(fields.idKeyDigest), &ledger) {
      (welcome) throws(MigrationError) in
      try Self.require(
        fields.idKeyDigest, amongst: welcome, .reportIdentity, "ID key is not accepted",
        at: AttestationReport.offset(of: \.idKeyDigest))
    }
    let author =
      report.keyInfo.hasAuthorKey ? Self.short(fields.authorKeyDigest) : "no author key"
    demand(.authorKey, policy.authorKeyDigests, has: author, &ledger) {
      (welcome) throws(MigrationError) in
      guard report.keyInfo.hasAuthorKey else {
        throw MigrationError(
          .reportIdentity, "guest was launched without an author key", in: .report,
          at: AttestationReport.offset(of: \.keyInfo), expected: "bit 0 set", got: "clear")
      }
      try Self.require(
        fields.authorKeyDigest, amongst: welcome, .reportIdentity, "author key is not accepted",
        at: AttestationReport.offset(of: \.authorKeyDigest))
    }
  }

  // MARK: The platform

  private func checkPlatform(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    let policy = requirements.policy
    let fields = report.fields
    let hasBits = policy.requiredPlatform != nil || policy.forbiddenPlatform != nil
    let bits = fields.platformInfo.setBits
    demand(
      .platformInfo, hasBits ? policy : nil,
      has: bits.isEmpty ? "no bit is set" : bits.joined(separator: ", "), &ledger
    ) { (policy) throws(MigrationError) in
      let set = fields.platformInfo.rawValue
      let missing = PlatformInfo(rawValue: (policy.requiredPlatform?.rawValue ?? 0) & ~set)
      let unwelcome = PlatformInfo(rawValue: (policy.forbiddenPlatform?.rawValue ?? 0) & set)
      for (bits, what) in [
        (missing, "platform lacks what is demanded"), (unwelcome, "platform has what is forbidden"),
      ] where bits.rawValue != 0 {
        throw MigrationError(
          .reportPlatform, "\(what): \(bits.setBits.joined(separator: ", "))", in: .report,
          at: AttestationReport.offset(of: \.platformInfo), got: Hex.number(set))
      }
    }
    demand(
      .firmware, policy.minimumFirmware,
      has: "\(fields.currentFirmware), committed \(fields.committedFirmware)", &ledger
    ) { (least) throws(MigrationError) in
      for (version, offset, name) in [
        (fields.currentFirmware, AttestationReport.offset(of: \.currentVersion), "firmware"),
        (
          fields.committedFirmware, AttestationReport.offset(of: \.committedVersion),
          "committed firmware"
        ),
      ] {
        guard version.isAtLeast(least) else {
          throw MigrationError(
            .reportPlatform, "\(name) is older than demanded", in: .report, at: offset,
            expected: "at least \(least)", got: "\(version)")
        }
      }
    }
    checkMitigations(report, &ledger)
  }

  private func checkMitigations(_ report: AttestationReport, _ ledger: inout AttestationLedger) {
    let (policy, fields) = (requirements.policy, report.fields)
    let vectors = [fields.launchMitigations, fields.currentMitigations].compactMap(\.self)
    demand(
      .mitigations, policy.requiredMitigations,
      has: vectors.isEmpty
        ? "none, version \(report.version)"
        : vectors.map { Hex.number($0) }.joined(separator: " at launch, now "), &ledger
    ) { (bits) throws(MigrationError) in
      guard let launch = fields.launchMitigations, let current = fields.currentMitigations else {
        throw MigrationError(
          .reportPlatform, "report has no mitigation vectors", in: .report,
          at: AttestationReport.offset(of: \.version),
          expected: "version 5", got: "\(report.version)")
      }
      for (vector, offset, name) in [
        (launch, AttestationReport.offset(of: \.launchMitVector), "at launch"),
        (current, AttestationReport.offset(of: \.currentMitVector), "now"),
      ] {
        guard vector & bits == bits else {
          throw MigrationError(
            .reportPlatform, "a mitigation that is demanded was not in force \(name)",
            in: .report, at: offset, expected: Hex.number(bits), got: Hex.number(vector))
        }
      }
    }
  }
}
