/// What a report must show in addition to what every caller demands: which guest, on which
/// platform, and how recent.
///
/// A demand that is nil is not made. A policy adds demands to existing ones and removes none,
/// except that `providers` permits a VLEK, which is otherwise refused. The file form is described
/// in `Formats/policy.md`.
package struct AttestationPolicy: Equatable, Sendable {
  /// MEASUREMENT must be one of these, 48 bytes each.
  package var measurements: [[UInt8]]?
  /// REPORTED_TCB must be at least the value for its product, component by component. A product
  /// without a value is refused.
  package var minimumTCB: [Product: TCBVersion.Components]?
  /// The same demand on LAUNCH_TCB.
  package var minimumLaunchTCB: [Product: TCBVersion.Components]?
  /// COMMITTED_TCB must equal CURRENT_TCB, and COMMITTED_VERSION must equal CURRENT_VERSION, so
  /// that no firmware can still be rolled back.
  package var requiresCommittedTCB = false
  /// POLICY must be at least as strict as this one.
  package var guestPolicy: GuestPolicy?
  /// GUEST_SVN must be at least this value.
  package var minimumGuestSVN: UInt32?
  /// FAMILY_ID must be this value, 16 bytes.
  package var familyID: [UInt8]?
  /// IMAGE_ID must be this value, 16 bytes.
  package var imageID: [UInt8]?
  /// REPORT_ID must be this value, 32 bytes: it identifies one launch of one guest.
  package var reportID: [UInt8]?
  /// REPORT_ID_MA must be this value, 32 bytes; all ones means no migration agent.
  package var reportIDMA: [UInt8]?
  /// HOST_DATA must be this value, 32 bytes.
  package var hostData: [UInt8]?
  /// ID_KEY_DIGEST must be one of these, 48 bytes each.
  package var idKeyDigests: [[UInt8]]?
  /// KEY_INFO must indicate an author key, and AUTHOR_KEY_DIGEST must be one of these, 48 bytes
  /// each.
  package var authorKeyDigests: [[UInt8]]?
  /// CHIP_ID must be one of these, 64 bytes each.
  package var chips: [[UInt8]]?
  /// A VLEK is accepted, and only one whose certificate names one of these providers.
  package var providers: [String]?
  /// Bits of PLATFORM_INFO that must be set.
  package var requiredPlatform: PlatformInfo?
  /// Bits of PLATFORM_INFO that must be clear.
  package var forbiddenPlatform: PlatformInfo?
  /// CURRENT_VERSION and COMMITTED_VERSION must be at least this version.
  package var minimumFirmware: FirmwareVersion?
  /// LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR must have all these bits set. A report of a version
  /// before 5 has neither field and is refused.
  package var requiredMitigations: UInt64?

  /// Makes no demand.
  package init() {}
}
