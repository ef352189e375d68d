package import Wire

extension AttestationReport {
  /// The layout of a report (ATTESTATION_REPORT of AMD's SEV-SNP firmware ABI), little-endian.
  /// Versions 2 to 5 have the same layout, but later versions have fields where earlier ones have
  /// reserved bytes.
  package struct Layout: WireRecord {
    package static let name = "attestation-report"

    /// 2, 3, 4 (same layout as 3) or 5.
    package var version: LE32
    package var guestSVN: LE32
    /// See `GuestPolicy`.
    package var policy: LE64
    package var familyID: WireBytes<16>
    package var imageID: WireBytes<16>
    /// Level of the requester.
    package var vmpl: LE32
    /// 1: ECDSA P-384 with SHA-384.
    package var signatureAlgo: LE32
    /// See `TCBVersion`.
    package var currentTCB: LE64
    /// See `PlatformInfo`.
    package var platformInfo: LE64
    /// See `KeyInfo`.
    package var keyInfo: LE32
    /// Zero, like all reserved bytes.
    package var reserved0: WireBytes<4>
    /// Data of the requester.
    package var reportData: WireBytes<64>
    /// Launch digest.
    package var measurement: WireBytes<48>
    package var hostData: WireBytes<32>
    package var idKeyDigest: WireBytes<48>
    package var authorKeyDigest: WireBytes<48>
    /// Random for each launched guest.
    package var reportID: WireBytes<32>
    /// All ones without a migration agent.
    package var reportIDMa: WireBytes<32>
    /// The TCB for which the signing key was derived.
    package var reportedTCB: LE64
    /// From version 3, like the next two.
    package var cpuidFamID: U8
    package var cpuidModID: U8
    package var cpuidStep: U8
    package var reserved1: WireBytes<21>
    /// Zero when masked; Turin and Venice use eight bytes.
    package var chipID: WireBytes<64>
    package var committedTCB: LE64
    /// Build, minor, major.
    package var currentVersion: WireBytes<3>
    package var reserved2: U8
    /// Build, minor, major.
    package var committedVersion: WireBytes<3>
    package var reserved3: U8
    package var launchTCB: LE64
    /// From version 5, like the next.
    package var launchMitVector: LE64
    package var currentMitVector: LE64
    package var reserved4: WireBytes<152>
    /// 48 bytes, the least significant first, then zeros. The signature covers what comes before.
    package var signatureR: WireBytes<72>
    /// Like `signatureR`.
    package var signatureS: WireBytes<72>
    package var reserved5: WireBytes<368>

    /// The name in AMD's spelling.
    package static func fieldName(of property: String) -> String { upperCaseName(of: property) }
  }

  /// Offset of `field` in the report, for the place of a refusal.
  package static func offset<Field: WireField>(of field: KeyPath<Layout, Field>) -> UInt64 {
    Layout.offset(of: field, from: 0)
  }
}
