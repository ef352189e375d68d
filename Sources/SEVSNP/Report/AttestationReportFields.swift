package import Errors
internal import Wire

extension AttestationReport {
  /// The signed content of a report; see `AttestationReport` for offsets.
  package struct Fields: Equatable, Sendable {
    /// 2, 3, 4 or 5 in a report that is verified; see `AttestationReport.checkVersion`.
    package var version: UInt32
    package var guestSVN: UInt32
    package var policy: GuestPolicy
    /// 16 bytes.
    package var familyID: [UInt8]
    /// 16 bytes.
    package var imageID: [UInt8]
    /// Privilege level of the requester: 0 is an SVSM's, 1 to 3 are other guests', all ones is the
    /// host's.
    package var vmpl: UInt32
    /// 1 is ECDSA P-384 with SHA-384.
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
    /// From version 3; nil before.
    package var cpu: CPUIdentity?
    /// 64 bytes.
    package var chipID: [UInt8]
    package var committedTCB: TCBVersion
    package var currentFirmware: FirmwareVersion
    package var committedFirmware: FirmwareVersion
    package var launchTCB: TCBVersion
    /// From version 5; nil before.
    package var launchMitigations: UInt64?
    /// From version 5; nil before.
    package var currentMitigations: UInt64?

    /// The fields of a plain guest on `product`, every TCB at `tcb`, to be changed as needed.
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

    /// Who asked for a report, by VMPL.
    package enum Requester: String, Sendable, CaseIterable {
      /// A guest, or the SVSM in it: 0 to 3.
      case guest
      /// All ones.
      case host
      /// Any other level.
      case nobody
    }

    package var requester: Requester { vmpl <= 3 ? .guest : vmpl == .max ? .host : .nobody }

    /// True when CHIP_ID does not say which chip it was.
    package var masksChipID: Bool { chipID.allSatisfy { $0 == 0 } }

    /// True when no migration agent is associated with the guest.
    package var hasNoMigrationAgent: Bool { reportIDMA.allSatisfy { $0 == 0xFF } }

    /// True when a migration agent is associated with the guest, or its policy allows one.
    package var mayHaveMigrationAgent: Bool {
      policy.allowsMigrationAgent || !hasNoMigrationAgent
    }

    /// True when the platform's firmware can be taken back to an older one.
    package var canBeRolledBack: Bool {
      committedTCB != currentTCB || committedFirmware != currentFirmware
    }

    /// The product, from the CPU identity of version 3 and later. An older report has none: then
    /// Turin when CHIP_ID has only its first eight bytes set, else nil (Milan and Genoa look
    /// alike and share their layouts; the certificate tells).
    package var product: Product? {
      if let cpu { return Product(cpu) }
      guard !masksChipID, chipID[8...].allSatisfy({ $0 == 0 }) else { return nil }
      return .turin
    }
  }
}

extension AttestationReport.Fields {
  /// Reads the signed part, 0x2A0 bytes, and passes over its reserved ranges. A version above those
  /// known is read as the newest of them, one below as the oldest.
  init(from cursor: inout ByteCursor) throws(MigrationError) {
    version = try cursor.readLittleEndian()
    guestSVN = try cursor.readLittleEndian()
    policy = GuestPolicy(rawValue: try cursor.readLittleEndian())
    familyID = try cursor.takeArray(16)
    imageID = try cursor.takeArray(16)
    vmpl = try cursor.readLittleEndian()
    signatureAlgorithm = try cursor.readLittleEndian()
    currentTCB = TCBVersion(rawValue: try cursor.readLittleEndian())
    platformInfo = PlatformInfo(rawValue: try cursor.readLittleEndian())
    keyInfo = KeyInfo(rawValue: try cursor.readLittleEndian())
    _ = try cursor.take(4)
    reportData = try cursor.takeArray(64)
    measurement = try cursor.takeArray(48)
    hostData = try cursor.takeArray(32)
    idKeyDigest = try cursor.takeArray(48)
    authorKeyDigest = try cursor.takeArray(48)
    reportID = try cursor.takeArray(32)
    reportIDMA = try cursor.takeArray(32)
    reportedTCB = TCBVersion(rawValue: try cursor.readLittleEndian())
    let identity = CPUIdentity(
      family: try cursor.read(), model: try cursor.read(), stepping: try cursor.read())
    cpu = version >= 3 ? identity : nil
    _ = try cursor.take(21)
    chipID = try cursor.takeArray(64)
    committedTCB = TCBVersion(rawValue: try cursor.readLittleEndian())
    currentFirmware = try FirmwareVersion(from: &cursor)
    committedFirmware = try FirmwareVersion(from: &cursor)
    launchTCB = TCBVersion(rawValue: try cursor.readLittleEndian())
    let vectors: (UInt64, UInt64) = (try cursor.readLittleEndian(), try cursor.readLittleEndian())
    launchMitigations = version >= 5 ? vectors.0 : nil
    currentMitigations = version >= 5 ? vectors.1 : nil
    _ = try cursor.take(152)
  }

  /// The 0x2A0 bytes that are signed, reserved ranges zero.
  /// - Throws: `REPORT-VERSION`; `INTERNAL` when a byte field has the wrong length.
  package func signedBytes() throws(MigrationError) -> [UInt8] {
    guard AttestationReport.versions.contains(version) else {
      throw MigrationError(.reportVersion, "no such version of the attestation report")
    }
    let lengths = [
      (familyID, 16), (imageID, 16), (reportData, 64), (measurement, 48), (hostData, 32),
      (idKeyDigest, 48), (authorKeyDigest, 48), (reportID, 32), (reportIDMA, 32), (chipID, 64),
    ]
    guard lengths.allSatisfy({ $0.0.count == $0.1 }) else {
      throw MigrationError(.internal, "a field of a report has the wrong length")
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(AttestationReport.size)
    bytes.append(littleEndian: version)
    bytes.append(littleEndian: guestSVN)
    bytes.append(littleEndian: policy.rawValue)
    bytes += familyID + imageID
    bytes.append(littleEndian: vmpl)
    bytes.append(littleEndian: signatureAlgorithm)
    bytes.append(littleEndian: currentTCB.rawValue)
    bytes.append(littleEndian: platformInfo.rawValue)
    bytes.append(littleEndian: keyInfo.rawValue)
    bytes.append(littleEndian: UInt32(0))
    bytes += reportData + measurement + hostData
    bytes += idKeyDigest + authorKeyDigest + reportID + reportIDMA
    bytes.append(littleEndian: reportedTCB.rawValue)
    let identity = version >= 3 ? cpu : nil
    bytes += [identity?.family ?? 0, identity?.model ?? 0, identity?.stepping ?? 0]
    bytes += [UInt8](repeating: 0, count: 21)
    bytes += chipID
    bytes.append(littleEndian: committedTCB.rawValue)
    for firmware in [currentFirmware, committedFirmware] {
      bytes += [firmware.build, firmware.minor, firmware.major, 0]
    }
    bytes.append(littleEndian: launchTCB.rawValue)
    bytes.append(littleEndian: version >= 5 ? launchMitigations ?? 0 : 0)
    bytes.append(littleEndian: version >= 5 ? currentMitigations ?? 0 : 0)
    bytes += [UInt8](repeating: 0, count: 152)
    return bytes
  }
}

extension FirmwareVersion {
  /// Reads build, minor, major and passes over one reserved byte.
  fileprivate init(from cursor: inout ByteCursor) throws(MigrationError) {
    build = try cursor.read()
    minor = try cursor.read()
    major = try cursor.read()
    _ = try cursor.take(1)
  }
}
