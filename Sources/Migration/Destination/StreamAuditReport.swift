internal import Errors
internal import SVSM

extension StreamAudit {
  func report() -> VerificationReport { findings.report { why($0) } }

  /// Why a property was not checked, or not completely, and what its check would need.
  private func why(_ property: VerificationReport.Property) -> (reason: Wording, needs: Wording) {
    if findings.hasStopped {
      return (
        "the check stopped at the first refusal", "a check that continues after the first refusal"
      )
    }
    let isOneWay = session.map { !$0.data.flags.contains(.mutual) } ?? false
    switch property {
    case .sourceAttestation where isOneWay, .keyBinding where isOneWay:
      return (
        "one-way: the source shows no attestation", "a stream that was saved without \(.oneWay)"
      )
    case .destinationAttestation where offer == nil, .keyBinding where offer == nil,
      .recipient where offer == nil:
      return (
        "the destination's offer is not given", "\(.offer), or \(.instance), which holds it"
      )
    case .freshness where instance == nil:
      return (
        "replay can be checked only with the destination's instance",
        "\(.instance): it remembers its migration"
      )
    case .freshness where instance?.stage != .ready:
      return ("this instance has served its migration, or given it up", "an instance that is ready")
    case _ where VerificationReport.Property.keyed.contains(property) && instance == nil:
      return ("the session's keys are needed", "the destination's \(.instance)")
    case _ where VerificationReport.Property.keyed.contains(property) && !hasKeys:
      return (
        session == nil
          ? "the session was not read" : "this instance does not have the session's keys",
        "the session as it was made, and the instance it answers"
      )
    case .pageStates, .machineState, .vcpus, .svsmState:
      if isFollowed {
        return ("a piece of the final state was refused", "that piece as the source made it")
      }
    default: break
    }
    guard let stop else {
      return (
        "an earlier record that it depends on was refused", "the stream as the source made it"
      )
    }
    let place = stop.offset.map { "byte 0x\(String($0, radix: 16))" } ?? "their beginning"
    switch property {
    case .sealSigner where hasSeal:
      return ("the session, which names the signer, was not read", "the session as it was made")
    case .seal where !isFollowed && !hasSeal, .sealSigner where !isFollowed:
      return ("no seal at its own place follows \(place)", "the stream to its end")
    default:
      return ("the records after \(place) cannot be read", "the stream as it was sealed")
    }
  }
}
