internal import Errors
internal import QEMUStream

/// What nobody can check of a confidential guest's stream without what is not in it.
extension ConfidentialDialect {
  /// Why a property cannot be checked in this dialect; nil where that is not the dialect's doing.
  func whyNotCheckable(
    _ property: VerificationReport.Property
  ) -> (reason: Wording, needs: Wording)? {
    let keys: Wording = "the keys, which only the firmware of its destination has"
    let isTDX = self == .intelTDX
    switch property {
    case .structure, .order, .seal, .sealSigner: return nil
    case .counts, .pageSequence, .epochOrder:
      return isTDX
        ? nil : ("this dialect has no page counts or sequence numbers", "a dialect with both")
    case .pageTags: return ("content and codes are the firmware's", keys)
    case .epochTags, .commit:
      return isTDX ? ("tokens are authentic to the TDX module only", keys) : nil
    case .vcpus:
      return encryptsCPUStates
        ? ("states of vCPUs are encrypted; their parts in the clear are correct", keys)
        : (
          "states of vCPUs travel in clear, in sections of their own",
          "a dialect that encrypts them"
        )
    case .pageStates:
      return ("no record lists the pages that the guest holds as private", keys)
    case .sourceAttestation, .destinationAttestation, .keyBinding, .recipient, .transportKey:
      return isTDX
        ? ("the session is made by migration TDs, outside of the stream", "their own reports")
        : ("certificates and session are the firmware's", keys)
    case .transcript, .svsmState, .machineState, .freshness: return nil
    }
  }

  private var encryptsCPUStates: Bool {
    switch self {
    case .hygonCSV2, .hygonCSV3, .intelTDX: true
    case .hygonCSV, .openEulerSEV, .amdSEV: false
    }
  }
}
