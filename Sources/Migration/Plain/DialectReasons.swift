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
        ? nil : ("the dialect neither counts nor numbers its pages", "a dialect that does")
    case .pageTags: return ("content and codes are the firmware's", keys)
    case .epochTags, .commit:
      return isTDX
        ? ("tokens are authentic to the TDX module only", keys)
        : ("the dialect has no such thing", "a dialect that has")
    case .vcpus:
      return encryptsCPUStates
        ? ("states of vCPUs are encrypted; nothing is wrong with what is in the clear", keys)
        : (
          "states of vCPUs travel in clear, in sections of their own",
          "a dialect that encrypts them"
        )
    case .pageStates:
      return ("nothing in the stream says which pages the guest holds for private", keys)
    case .sourceAttestation, .destinationAttestation, .keyBinding, .recipient, .transportKey:
      return isTDX
        ? ("the session is made by migration TDs, outside of the stream", "their own reports")
        : ("certificates and session are the firmware's", keys)
    case .transcript, .svsmState, .machineState, .freshness:
      return ("the dialect has no such thing", "an SNP stream: svsm-mig-save makes one")
    }
  }

  private var encryptsCPUStates: Bool {
    switch self {
    case .hygonCSV2, .hygonCSV3, .intelTDX: true
    case .hygonCSV, .openEulerSEV, .amdSEV: false
    }
  }
}
