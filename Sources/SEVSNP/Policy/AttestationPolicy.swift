/// What a report must show beyond what every caller demands: which guest, on which platform, how new.
///
/// A demand that is nil is not made. A policy adds demands to those there are already, and takes none
/// back; `providers` alone welcomes what is refused without it. Its file is in `Formats/policy.md`.
package struct AttestationPolicy: Equatable, Sendable {
  /// MEASUREMENT must be one of these, 48 bytes each.
  package var measurements: [[UInt8]]?
  /// REPORTED_TCB must be at least what is here for its product, component by component. A product
  /// that is not here is refused.
  package var minimumTCB: [Product: TCBVersion.Components]?
  /// The same of LAUNCH_TCB.
  package var minimumLaunchTCB: [Product: TCBVersion.Components]?
  /// Wants COMMITTED_TCB equal to CURRENT_TCB, and COMMITTED_VERSION to CURRENT_VERSION: no firmware
  /// that can still be rolled back.
  package var requiresCommittedTCB = false
  /// POLICY must be at least as strict as this one.
  package var guestPolicy: GuestPolicy?
  /// GUEST_SVN must be at least this.
  package var minimumGuestSVN: UInt32?
  /// FAMILY_ID, 16 bytes.
  package var familyID: [UInt8]?
  /// IMAGE_ID, 16 bytes.
  package var imageID: [UInt8]?
  /// REPORT_ID, 32 bytes: one launch of one guest.
  package var reportID: [UInt8]?
  /// REPORT_ID_MA, 32 bytes, all ones for no migration agent.
  package var reportIDMA: [UInt8]?
  /// HOST_DATA, 32 bytes.
  package var hostData: [UInt8]?
  /// ID_KEY_DIGEST must be one of these, 48 bytes each.
  package var idKeyDigests: [[UInt8]]?
  /// KEY_INFO must say that there is an author key, and AUTHOR_KEY_DIGEST be one of these, 48 bytes each.
  package var authorKeyDigests: [[UInt8]]?
  /// CHIP_ID must be one of these, 64 bytes each.
  package var chips: [[UInt8]]?
  /// A VLEK is welcome, and only one whose certificate names one of these providers.
  package var providers: [String]?
  /// Bits of PLATFORM_INFO that must be set.
  package var requiredPlatform: PlatformInfo?
  /// Bits of PLATFORM_INFO that must be clear.
  package var forbiddenPlatform: PlatformInfo?
  /// CURRENT_VERSION and COMMITTED_VERSION must be at least this.
  package var minimumFirmware: FirmwareVersion?
  /// LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR must have all these bits; a report before version 5 has
  /// neither and is refused.
  package var requiredMitigations: UInt64?

  /// Demands nothing.
  package init() {}
}
