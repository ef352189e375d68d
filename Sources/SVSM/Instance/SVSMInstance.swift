package import Cryptography
package import Errors
package import SEVSNP

/// One SVSM of the model, source or destination: its keys, its platform and how far it has come.
///
/// On disk it is the instance file. It holds private keys: mode 0600, never printed. They are a
/// model's keys and protect no real guest.
package struct SVSMInstance: Sendable {
  /// What this instance publishes.
  package let offer: MigrationData
  /// How far it has come, and what it remembers of that.
  package internal(set) var state: State
  /// SEV_FEATURES of its guest.
  package let features: SEVFeatures
  let key: P384.PrivateKey
  let endorsementKey: P384.PrivateKey
  let vmpcks: [SecretBytes]

  /// Starts an instance on `platform`.
  /// - Parameters:
  ///   - features: SEV_FEATURES its guest runs with.
  ///   - random: where its keys come from.
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

  /// Its public key: 97 bytes.
  package func publicKey() throws(MigrationError) -> [UInt8] { key.publicKey.bytes }

  /// POLICY its guest was launched under, as its report says.
  func guestPolicy() throws(MigrationError) -> GuestPolicy {
    try AttestationReport(offer.report).policy
  }

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

  /// Signs with the attested key: r and the lower s, 48 bytes each.
  func sign(_ message: [UInt8]) throws(MigrationError) -> [UInt8] {
    try key.signLowS(message: message).raw
  }

  /// Signs the seal of a stream with the attested key: r and the lower s, 48 bytes each. It is no migration: the
  /// stage does not matter, and stays.
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

  /// The secrets page firmware gave this guest context.
  func secretsPage() throws(MigrationError) -> SecretsPage {
    let report = try AttestationReport(offer.report)
    return try SecretsPage(
      fms: report.fields.cpu?.leaf1 ?? 0, gosvw: [UInt8](repeating: 0, count: 16),
      vmpcks: vmpcks.map { $0.bytes }, facts: SecretsPageFacts())
  }
}

extension SVSMInstance: CustomStringConvertible {
  /// Says what it is, never what it holds.
  package var description: String { "SVSM instance, \(state.stage)" }
}
