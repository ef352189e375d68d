public import Bytes
public import Cryptography
public import SEVSNP

/// One SVSM of the model, source or destination: its keys, its platform and how far it has come.
///
/// On disk it is the instance file. It holds private keys: mode 0600, never printed. They are a
/// model's keys and protect no real guest.
public struct SVSMInstance: Sendable {
  /// How far an instance has come. It serves one migration.
  public enum Stage: UInt32, Sendable, CaseIterable {
    /// Nothing has happened yet.
    case ready = 0
    /// As a source, it has issued its final state.
    case exported = 1
    /// As a destination, it has restored a guest.
    case imported = 2
  }

  /// The fixed part of an instance file, big-endian; the offer follows, then SHA-256 of all before.
  ///
  ///     offset  size  field
  ///          0     8  magic            "SVSMINST"
  ///          8     2  version          1
  ///         10     2  reserved         zero
  ///         12     4  stage            0 ready, 1 exported, 2 imported
  ///         16     8  sev_features     SEV_FEATURES every vCPU must have
  ///         24    48  private_key      P-384 scalar
  ///         72    48  endorsement_key  P-384 scalar of the model's VCEK
  ///        120    32  vmpck0           keys of this guest context's secrets page
  ///        152    32  vmpck1
  ///        184    32  vmpck2
  ///        216    32  vmpck3
  ///        248    48  migration        SHA-384 of the transfer data it served; zero when ready
  ///        296     4  offer_length     bytes of the offer
  ///        300     4  reserved_2       zero
  public static let layout = RecordLayout(
    "instance",
    [
      "magic": 8, "version": 2, "reserved": 2, "stage": 4, "sev_features": 8, "private_key": 48,
      "endorsement_key": 48, "vmpck0": 32, "vmpck1": 32, "vmpck2": 32, "vmpck3": 32,
      "migration": 48, "offer_length": 4, "reserved_2": 4,
    ])

  static let magic = Array("SVSMINST".utf8)
  /// Bytes an instance file may have.
  public static let maximumSize = 304 + MigrationData.maximumSize + 32

  /// What this instance publishes.
  public let offer: MigrationData
  public private(set) var stage: Stage
  /// SEV_FEATURES of its guest.
  public let features: SEVFeatures
  /// SHA-384 of the transfer data it served, 48 bytes; zero when ready.
  public private(set) var migration: [UInt8]
  private let key: P384.PrivateKey
  private let endorsementKey: P384.PrivateKey
  private let vmpcks: [SecretBytes]

  /// Starts an instance on `platform`.
  /// - Parameters:
  ///   - features: SEV_FEATURES its guest runs with.
  ///   - random: where its keys come from.
  public init(
    on platform: Platform, features: SEVFeatures, random: RandomSource
  ) throws(MigrationError) {
    var material = try random.bytes(48, for: "instance key")
    defer { wipe(&material) }
    key = try P384.PrivateKey(deriving: material)
    endorsementKey = platform.endorsementKey
    var keys: [SecretBytes] = []
    for level in 0..<4 { keys.append(SecretBytes(try random.bytes(32, for: "VMPCK\(level)"))) }
    vmpcks = keys
    self.features = features
    stage = .ready
    migration = [UInt8](repeating: 0, count: 48)
    let flags: ProtocolFlags = random.isSeeded ? .seeded : []
    let processor = ModelSecurityProcessor(platform)
    var fields = processor.fields()
    fields.policy = GuestPolicy(rawValue: 0x3_0000)
    fields.reportID = try random.bytes(32, for: "report id")
    fields.measurement = try SHA384.hash(Array("svsm-migration model SVSM".utf8))
    fields.reportData = try MigrationData.reportData(publicKey: key.publicKey.bytes, flags: flags)
    offer = try MigrationData(
      publicKey: key.publicKey.bytes, flags: flags, report: processor.sign(fields).bytes,
      certificates: platform.certificateTable.bytes())
  }

  /// Whether its keys come from a seed.
  public var isSeeded: Bool { offer.flags.contains(.seeded) }

  /// Its public key: 97 bytes.
  package func publicKey() throws(MigrationError) -> [UInt8] { key.publicKey.bytes }

  /// A new report of this SVSM over `reportData`, by the model's security processor.
  package func report(over reportData: [UInt8]) throws(MigrationError) -> [UInt8] {
    var fields = try AttestationReport(offer.report).fields
    fields.reportData = reportData
    let bytes = try fields.signedBytes()
    let signature = try endorsementKey.sign(message: bytes)
    return try AttestationReport(
      signedBytes: bytes, signatureR: signature.r, signatureS: signature.s
    ).bytes
  }

  /// Signs with the attested key: r and s, 48 bytes each.
  func sign(_ message: [UInt8]) throws(MigrationError) -> [UInt8] {
    try key.sign(message: message).raw
  }

  /// Signs the seal of a stream with the attested key: r and s, 48 bytes each. It is no migration: the
  /// stage does not matter, and stays.
  /// - Parameter message: label and fixed part of the seal.
  public func signSeal(_ message: [UInt8]) throws(MigrationError) -> [UInt8] {
    try sign(message)
  }

  /// Unwraps a transport key.
  /// - Returns: nil when it does not authenticate.
  package func unwrap(
    _ wrapped: [UInt8], encapsulatedKey: [UInt8], info: [UInt8]
  ) throws(MigrationError) -> [UInt8]? {
    guard
      var context = try HPKE.migration.receiver(
        of: encapsulatedKey, secret: key.scalar, point: key.publicKey.bytes, info: info)
    else { return nil }
    return try context.open(wrapped, associatedData: [])
  }

  /// The secrets page firmware gave this guest context.
  func secretsPage() throws(MigrationError) -> SecretsPage {
    let report = try AttestationReport(offer.report)
    return try SecretsPage(
      fms: report.fields.cpu?.leaf1 ?? 0, gosvw: [UInt8](repeating: 0, count: 16),
      vmpcks: vmpcks.map { $0.bytes }, facts: SecretsPageFacts())
  }

  /// The instance after it served a migration.
  public func advanced(
    to stage: Stage, by transferData: TransferData
  ) throws(MigrationError) -> SVSMInstance {
    var next = self
    next.stage = stage
    next.migration = try SHA384.hash(transferData.encoded)
    return next
  }

  /// The refusal of a second use.
  var usedError: MigrationError {
    MigrationError(
      .instanceUsed,
      stage == .exported
        ? "this source has issued its final state and will not save again"
        : "this destination has restored a guest and will not load again",
      section: "instance", at: 12, expected: "ready", got: "\(stage)")
  }
}

extension SVSMInstance {
  /// Decodes an instance file.
  /// - Throws: `INSTANCE-SYNTAX` with the offset in the file; what `MigrationData` refuses.
  public init(_ bytes: [UInt8]) throws(MigrationError) {
    do {
      try self.init(parsing: bytes)
    } catch {
      var error = error.inSection("instance")
      if error.code == .streamTruncated { error.code = .instanceSyntax }
      throw error
    }
  }

  private init(parsing bytes: [UInt8]) throws(MigrationError) {
    let span = bytes.span
    var cursor = ByteCursor(span)
    guard try cursor.takeArray(8) == Self.magic else {
      throw MigrationError(.instanceSyntax, "not an instance file", at: 0, expected: "SVSMINST")
    }
    let version = try cursor.read(UInt16.self)
    let reserved = try cursor.read(UInt16.self)
    let stageCode = try cursor.read(UInt32.self)
    guard version == 1, reserved == 0, let stage = Stage(rawValue: stageCode) else {
      throw MigrationError(
        .instanceSyntax, "unknown version or stage", at: 8, got: "\(version), \(stageCode)")
    }
    self.stage = stage
    features = SEVFeatures(rawValue: try cursor.read())
    key = try P384.PrivateKey(cursor.takeArray(48))
    endorsementKey = try P384.PrivateKey(cursor.takeArray(48))
    var keys: [SecretBytes] = []
    for _ in 0..<4 { keys.append(SecretBytes(try cursor.takeArray(32))) }
    vmpcks = keys
    migration = try cursor.takeArray(48)
    let length = try cursor.read(UInt32.self)
    let reserved2 = try cursor.read(UInt32.self)
    guard reserved2 == 0, length <= MigrationData.maximumSize else {
      throw MigrationError(.instanceSyntax, "impossible length of the offer", at: 296)
    }
    offer = try MigrationData(cursor.takeArray(Int(length)))
    let body = span.extracting(first: Int(cursor.offset))
    guard cursor.remaining == 32, try cursor.takeArray(32) == SHA256.hash(body) else {
      throw MigrationError(
        .instanceSyntax, "checksum is wrong", at: UInt64(body.count))
    }
    guard offer.publicKey == key.publicKey.bytes else {
      throw MigrationError(.instanceSyntax, "offer is for another key", at: 304)
    }
  }

  /// The instance file's bytes: private keys in clear.
  public func encoded() throws(MigrationError) -> [UInt8] {
    var bytes = Self.magic
    bytes.append(bigEndian: UInt16(1))
    bytes.append(bigEndian: UInt16(0))
    bytes.append(bigEndian: stage.rawValue)
    bytes.append(bigEndian: features.rawValue)
    bytes += key.scalar
    bytes += endorsementKey.scalar
    for key in vmpcks { bytes += key.bytes }
    bytes += migration
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: offer.encoded.count))
    bytes.append(bigEndian: UInt32(0))
    bytes += offer.encoded
    return try bytes + SHA256.hash(bytes)
  }
}

extension SVSMInstance: CustomStringConvertible {
  /// Says what it is, never what it holds.
  public var description: String { "SVSM instance, \(stage)" }
}
