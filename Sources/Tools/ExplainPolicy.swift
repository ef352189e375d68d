/// What is said of codes about policies, and about what only a policy or an option demands.
extension Explanation {
  static let reportMeasurement = Explanation(
    meaning: "MEASUREMENT is none that is welcome",
    causes: [
      "another version of the SVSM's image, or of its launch parameters, than the policy names",
      "another guest than the one that is meant",
    ],
    remedy:
      "compute the measurement of the image that is meant, and compare; name it in the policy "
      + "if it is to be welcome")

  static let reportIdentity = Explanation(
    meaning: "GUEST_SVN is too low, or FAMILY_ID, IMAGE_ID, HOST_DATA, or the digest of the ID or "
      + "author key, is not what is demanded",
    causes: [
      "the guest was launched with another ID block, or with none",
      "an image that was replaced since: its security version was raised",
      "an ID block that is signed by another key",
    ],
    remedy: "look at the fields with svsm-mig-attest show; launch the guest with the ID block that "
      + "the policy demands")

  static let reportPlatform = Explanation(
    meaning:
      "PLATFORM_INFO lacks what is demanded or has what is forbidden, firmware is too old, or "
      + "mitigations are missing",
    causes: [
      "SMT, TSME or RAPL are set in the BIOS otherwise than the policy wants",
      "firmware that was not updated, or not committed",
      "a report before version 5, which says nothing of mitigations",
    ],
    remedy: "set up and update the platform, or take another; the message names the bits or the "
      + "version")

  static let policySyntax = Explanation(
    meaning: "the policy is not as described",
    causes: [
      "a key that is misspelt: no key is passed over",
      "a value of another type or length, an array without an element",
      "a policy of a newer version",
    ],
    remedy: "the message names the place as a JSON pointer; policy.md lists every key")
}
