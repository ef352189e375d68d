package import Cryptography
package import Errors
package import SEVSNP

/// One SVSM of the model, source or destination: its keys, its platform and its stage.
///
/// On disk it is the instance file, which holds private keys: its mode is 0600 and its content is
/// never printed. The keys belong to the model and protect no real guest.
package struct SVSMInstance: Sendable {
  /// The offer that this instance publishes.
  package let offer: MigrationData
  /// The stage of the instance, with the data kept in that stage.
  package internal(set) var state: State
  /// SEV_FEATURES of its guest.
  package let features: SEVFeatures
  let key: P384.PrivateKey
  let endorsementKey: P384.PrivateKey
  let vmpcks: [SecretBytes]

  /// Starts an instance on `platform`.
  /// - Parameters:
  ///   - features: SEV_FEATURES that its guest runs with.
  ///   - random: the source of its keys.
  package init(
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
    state = .ready
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
  package var isSeeded: Bool { offer.flags.contains(.seeded) }

  /// Its P-384 public key: uncompressed point, 97 bytes.
  package func publicKey() throws(MigrationError) -> [UInt8] { key.publicKey.bytes }

  /// POLICY that its guest was launched under, according to its report.
  func guestPolicy() throws(MigrationError) -> GuestPolicy {
    try AttestationReport(offer.report).policy
  }

  /// A new attestation report of this SVSM over `reportData` (64 bytes), signed as the model's
  /// security processor signs.
  package func report(over reportData: [UInt8]) throws(MigrationError) -> [UInt8] {
    var fields = try AttestationReport(offer.report).fields
    fields.reportData = reportData
    let bytes = try fields.signedBytes()
    let signature = try endorsementKey.sign(message: bytes)
    return try AttestationReport(
      signedBytes: bytes, signatureR: signature.r, signatureS: signature.s
    ).bytes
  }

  /// Signs with the attested key. Returns r and the lower of the two values of s, 48 bytes each.
  func sign(_ message: [UInt8]) throws(MigrationError) -> [UInt8] {
    try key.signLowS(message: message).raw
  }

  /// Signs the seal of a stream with the attested key. Returns r and the lower of the two values of
  /// s, 48 bytes each. This is not a migration: it works in every stage and does not change it.
  package func sign(_ seal: Seal, as kind: Seal.Kind) throws(MigrationError) -> [UInt8] {
    try sign(seal.message(as: kind))
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

  /// The secrets page that the firmware gave this guest context.
  func secretsPage() throws(MigrationError) -> SecretsPage {
    let report = try AttestationReport(offer.report)
    return try SecretsPage(
      fms: report.fields.cpu?.leaf1 ?? 0, gosvw: [UInt8](repeating: 0, count: 16),
      vmpcks: vmpcks.map { $0.bytes }, facts: SecretsPageFacts())
  }
}

extension SVSMInstance: CustomStringConvertible {
  /// Names the stage and reveals no key.
  package var description: String { "SVSM instance, \(state.stage)" }
}
