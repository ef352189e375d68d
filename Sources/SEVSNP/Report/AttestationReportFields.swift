package import Errors
internal import Wire

extension AttestationReport {
  /// The signed content of a report; see `AttestationReport.Layout` for the bytes.
  package struct Fields: Equatable, Sendable {
    /// 2, 3, 4 or 5 in a report that was verified; see `AttestationReport.checkVersion`.
    package var version: UInt32
    package var guestSVN: UInt32
    package var policy: GuestPolicy
    /// 16 bytes.
    package var familyID: [UInt8]
    /// 16 bytes.
    package var imageID: [UInt8]
    /// VMPL of the requester: 0 for an SVSM, 1 to 3 for other software in the guest, all ones for
    /// the host.
    package var vmpl: UInt32
    /// 1 for ECDSA P-384 with SHA-384.
    package var signatureAlgorithm: UInt32
    package var currentTCB: TCBVersion
    package var platformInfo: PlatformInfo
    package var keyInfo: KeyInfo
    /// 64 bytes.
    package var reportData: [UInt8]
    /// 48 bytes.
    package var measurement: [UInt8]
    /// 32 bytes.
    package var hostData: [UInt8]
    /// 48 bytes.
    package var idKeyDigest: [UInt8]
    /// 48 bytes.
    package var authorKeyDigest: [UInt8]
    /// 32 bytes, random for each launched guest.
    package var reportID: [UInt8]
    /// 32 bytes, all ones when no migration agent is associated.
    package var reportIDMA: [UInt8]
    package var reportedTCB: TCBVersion
    /// From version 3; nil in older reports.
    package var cpu: CPUIdentity?
    /// 64 bytes.
    package var chipID: [UInt8]
    package var committedTCB: TCBVersion
    package var currentFirmware: FirmwareVersion
    package var committedFirmware: FirmwareVersion
    package var launchTCB: TCBVersion
    /// From version 5; nil in older reports.
    package var launchMitigations: UInt64?
    /// From version 5; nil in older reports.
    package var currentMitigations: UInt64?

    /// The fields of an ordinary guest on `cpu`, with every TCB at `tcb`, to be changed as needed.
    package init(version: UInt32 = 3, cpu: CPUIdentity, tcb: TCBVersion) {
      self.version = version
      guestSVN = 0
      policy = GuestPolicy(rawValue: 0x30000)
      familyID = [UInt8](repeating: 0, count: 16)
      imageID = familyID
      vmpl = 0
      signatureAlgorithm = 1
      currentTCB = tcb
      platformInfo = PlatformInfo(rawValue: 0)
      keyInfo = KeyInfo(signer: .vcek)
      reportData = [UInt8](repeating: 0, count: 64)
      measurement = [UInt8](repeating: 0, count: 48)
      hostData = [UInt8](repeating: 0, count: 32)
      idKeyDigest = measurement
      authorKeyDigest = measurement
      reportID = hostData
      reportIDMA = [UInt8](repeating: 0xFF, count: 32)
      reportedTCB = tcb
      self.cpu = version >= 3 ? cpu : nil
      chipID = reportData
      committedTCB = tcb
      currentFirmware = FirmwareVersion(major: 0, minor: 0, build: 0)
      committedFirmware = currentFirmware
      launchTCB = tcb
      launchMitigations = version >= 5 ? 0 : nil
      currentMitigations = launchMitigations
    }

    /// The requester of a report, by VMPL.
    package enum Requester: String, Sendable, CaseIterable {
      /// The guest or its SVSM: 0 to 3.
      case guest
      /// All ones.
      case host
      /// Any other level.
      case nobody
    }

    package var requester: Requester { vmpl <= 3 ? .guest : vmpl == .max ? .host : .nobody }

    /// Whether CHIP_ID is masked, so that it does not tell which chip made the report.
    package var masksChipID: Bool { chipID.allSatisfy { $0 == 0 } }

    /// Whether no migration agent is associated with the guest.
    package var hasNoMigrationAgent: Bool { reportIDMA.allSatisfy { $0 == 0xFF } }

    /// Whether a migration agent is associated with the guest, or its policy allows one.
    package var mayHaveMigrationAgent: Bool {
      policy.allowsMigrationAgent || !hasNoMigrationAgent
    }

    /// Whether the platform's firmware can be rolled back to an older version.
    package var canBeRolledBack: Bool {
      committedTCB != currentTCB || committedFirmware != currentFirmware
    }

    /// The product, from the CPU identity in reports of version 3 and later. For older reports it
    /// is Turin when only the first eight bytes of CHIP_ID are set, else nil: Milan and Genoa
    /// cannot be distinguished and share their layouts, and the certificate tells which it is.
    package var product: Product? {
      if let cpu { return Product(cpu) }
      guard !masksChipID, chipID[8...].allSatisfy({ $0 == 0 }) else { return nil }
      return .turin
    }
  }
}

extension AttestationReport.Fields {
  /// Reads the signed part and ignores reserved bytes. A version above the known ones is read as
  /// the newest of them, and one below as the oldest.
  init(_ record: AttestationReport.Layout) {
    version = record.version.value
    guestSVN = record.guestSVN.value
    policy = GuestPolicy(rawValue: record.policy.value)
    familyID = record.familyID.array
    imageID = record.imageID.array
    vmpl = record.vmpl.value
    signatureAlgorithm = record.signatureAlgo.value
    currentTCB = TCBVersion(rawValue: record.currentTCB.value)
    platformInfo = PlatformInfo(rawValue: record.platformInfo.value)
    keyInfo = KeyInfo(rawValue: record.keyInfo.value)
    reportData = record.reportData.array
    measurement = record.measurement.array
    hostData = record.hostData.array
    idKeyDigest = record.idKeyDigest.array
    authorKeyDigest = record.authorKeyDigest.array
    reportID = record.reportID.array
    reportIDMA = record.reportIDMa.array
    reportedTCB = TCBVersion(rawValue: record.reportedTCB.value)
    let identity = CPUIdentity(
      family: record.cpuidFamID.value, model: record.cpuidModID.value,
      stepping: record.cpuidStep.value)
    cpu = version >= 3 ? identity : nil
    chipID = record.chipID.array
    committedTCB = TCBVersion(rawValue: record.committedTCB.value)
    currentFirmware = FirmwareVersion(record.currentVersion)
    committedFirmware = FirmwareVersion(record.committedVersion)
    launchTCB = TCBVersion(rawValue: record.launchTCB.value)
    launchMitigations = version >= 5 ? record.launchMitVector.value : nil
    currentMitigations = version >= 5 ? record.currentMitVector.value : nil
  }

  /// The bytes to be signed, with zeros in reserved ranges.
  /// - Throws: `REPORT-VERSION`; `INTERNAL` when a byte field has the wrong length.
  package func signedBytes() throws(MigrationError) -> [UInt8] {
    guard AttestationReport.versions.contains(version) else {
      throw MigrationError(.reportVersion, "no such version of the attestation report")
    }
    let identity = version >= 3 ? cpu : nil
    var record = AttestationReport.Layout()
    record.version.value = version
    record.guestSVN.value = guestSVN
    record.policy.value = policy.rawValue
    try Self.set(&record.familyID, to: familyID)
    try Self.set(&record.imageID, to: imageID)
    record.vmpl.value = vmpl
    record.signatureAlgo.value = signatureAlgorithm
    record.currentTCB.value = currentTCB.rawValue
    record.platformInfo.value = platformInfo.rawValue
    record.keyInfo.value = keyInfo.rawValue
    try Self.set(&record.reportData, to: reportData)
    try Self.set(&record.measurement, to: measurement)
    try Self.set(&record.hostData, to: hostData)
    try Self.set(&record.idKeyDigest, to: idKeyDigest)
    try Self.set(&record.authorKeyDigest, to: authorKeyDigest)
    try Self.set(&record.reportID, to: reportID)
    try Self.set(&record.reportIDMa, to: reportIDMA)
    record.reportedTCB.value = reportedTCB.rawValue
    record.cpuidFamID.value = identity?.family ?? 0
    record.cpuidModID.value = identity?.model ?? 0
    record.cpuidStep.value = identity?.stepping ?? 0
    try Self.set(&record.chipID, to: chipID)
    record.committedTCB.value = committedTCB.rawValue
    record.currentVersion = currentFirmware.encoded
    record.committedVersion = committedFirmware.encoded
    record.launchTCB.value = launchTCB.rawValue
    record.launchMitVector.value = version >= 5 ? launchMitigations ?? 0 : 0
    record.currentMitVector.value = version >= 5 ? currentMitigations ?? 0 : 0
    return Array(record.bytes[..<AttestationReport.signedSize])
  }

  private static func set<let count: Int>(
    _ field: inout WireBytes<count>, to bytes: [UInt8]
  ) throws(MigrationError) {
    guard bytes.count == count else {
      throw MigrationError(.internal, "a field of a report has the wrong length")
    }
    field.array = bytes
  }
}

extension FirmwareVersion {
  /// From the bytes build, minor, major.
  fileprivate init(_ bytes: WireBytes<3>) {
    self.init(major: bytes[2], minor: bytes[1], build: bytes[0])
  }

  /// The bytes build, minor, major.
  fileprivate var encoded: WireBytes<3> { WireBytes([build, minor, major]) }
}
