internal import Errors
internal import Wire

extension Attack {
  /// Rearranged sessions, vCPUs, services, maps and commits.
  static let finals: [Attack] = [
    Attack(
      "reorder-final-records", [3, 28], "a service before the vCPUs", "move service before vcpu",
      plain: .init([.finalOrder], [.finalOrder]), mended: .init([.finalOrder], [.finalOrder])),
    Attack(
      "reorder-sections", [3], "the guest map before the RAM blocks", "swap ram.start map",
      plain: .init([.sectionOrder], [.sectionOrder]),
      mended: .init([.sectionOrder], [.sectionOrder])),
    Attack(
      "drop-vcpu", [4, 28], "a vCPU left out", "cut vcpu[last]",
      plain: .init([.finalOrder], [.finalOrder]), mended: .init([.finalOrder], [.finalOrder])),
    Attack(
      "drop-states", [4, 10], "the page-state map left out", "cut states[last]",
      plain: .init([.commitTotals], [.commitTotals]),
      mended: .init([.sealSigner, .sectionLength], [.commitTag])),
    Attack(
      "drop-secrets", [4, 33], "the secrets record left out", "cut secrets",
      plain: .init([.finalOrder], [.finalOrder]), mended: .init([.finalOrder], [.finalOrder])),
    Attack(
      "drop-session", [4, 27], "the session left out", "cut session",
      plain: .init([.streamKind], [.streamKind])),
    Attack(
      "drop-commit", [4, 13], "the commit left out", "cut commit",
      plain: .init([.sectionMissing], [.sectionMissing]),
      mended: .init([.sectionMissing], [.sectionMissing])),
    Attack(
      "drop-device", [4], "a device left out", "cut device[?]",
      plain: .init([.sectionOrder], [.sectionOrder]),
      mended: .init([.sectionOrder], [.sectionOrder])),
    Attack(
      "duplicate-vcpu", [5, 28], "a vCPU twice", "copy vcpu[?] after vcpu[?]",
      plain: .init([.sectionID], [.sectionID]),
      mended: .init([.sectionInstance], [.sectionInstance])),
    Attack(
      "duplicate-commit", [5, 14], "the commit twice", "copy commit after commit",
      plain: .init([.sectionID], [.sectionID]),
      mended: .init([.sectionInstance], [.sectionInstance])),
    Attack(
      "splice-vcpu", [6, 30], "a vCPU of another session: an older one, say",
      "splice vcpu[?] from second vcpu[?]", plain: .init([.commitTranscript], [.finalTag]),
      mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "splice-service", [6, 31], "the vTPM of another session: an older one",
      "splice service[?] from second service[?]", plain: .init([.commitTranscript], [.finalTag]),
      mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "splice-states", [6, 10, 11], "the page-state map of another session",
      "splice states[last] from second states[last]",
      plain: .init([.commitTranscript], [.finalTag]), mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "splice-commit", [6], "the commit of another session", "splice commit from second commit",
      plain: .init([.commitTranscript], [.commitTag]), mended: .init([.sealSigner], [.commitTag])),
    Attack(
      "splice-session", [6, 16], "another session over these records",
      "splice session from second session",
      plain: .init([.epochTranscript], [.pageTag, .epochTag]),
      mended: .init([.sealSigner], [.pageTag, .epochTag])),
    Attack(
      "splice-rest", [6, 7, 18], "the final state of another session after these pages",
      """
      copy second rest(vcpu) before vcpu
      cut rest(vcpu)
      """,
      plain: .init([.commitTranscript], [.finalTag]), mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "cross-tags", [7], "the tag of a token as that of the commit",
      "set commit.tag from token[last].tag", plain: .init([.sealChunk], [.commitTag]),
      mended: .init([.sealSigner], [.commitTag])),
    Attack(
      "oracle-service", [34],
      "a service of wrong form: the refusal may only say that the tag is wrong",
      "set service[?].ciphertext zero", plain: .init([.sealChunk], [.finalTag]),
      mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "swap-vcpus", [28], "two vCPUs in each other's place", "swap vcpu[?] vcpu[?+1]",
      plain: .init([.finalOrder], [.finalOrder]), mended: .init([.finalOrder], [.finalOrder])),
    Attack(
      "swap-vcpu-states", [28], "two vCPUs' ciphertexts and tags in each other's place",
      """
      swap vcpu[?].ciphertext vcpu[?+1].ciphertext
      swap vcpu[?].tag vcpu[?+1].tag
      """,
      plain: .init([.commitTranscript], [.finalTag]), mended: .init([.commitTotals], [.finalTag])),
    Attack(
      "relabel-vcpus", [28], "two vCPUs in each other's place, index and sequence in order",
      """
      swap vcpu[?] vcpu[?+1]
      add vcpu[?].index 1
      add vcpu[?].sequence 1
      add vcpu[?+1].index -1
      add vcpu[?+1].sequence -1
      add header(vcpu[?]).instance 1
      add header(vcpu[?+1]).instance -1
      """,
      plain: .init([.commitTranscript], [.finalTag]), mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "vcpu-before-last-token", [30], "a vCPU that was taken before the guest was paused",
      "move vcpu[0] before token[last]", plain: .init([.sectionOrder], [.sectionOrder]),
      mended: .init([.sectionOrder], [.sectionOrder])),
    Attack(
      "page-after-last-token", [30, 14], "memory that is newer than the vCPUs",
      "move page[last] after token[last]",
      plain: .init([.epochCount, .mapSharedAtPrivate], [.epochCount, .mapSharedAtPrivate]),
      mended: .init([.epochOrder, .mapSharedAtPrivate], [.epochTag, .mapSharedAtPrivate])),
    Attack(
      "late-page", [30, 14], "a page twice, the second time after the last token",
      """
      copy page[last] after token[last] as late
      add late.sequence 1
      """,
      plain: .init([.epochOrder], [.pageTag]), mended: .init([.epochOrder], [.pageTag])),
    Attack(
      "omit-service-renumbered", [32], "the vTPM left out, and the next record numbered for it",
      """
      cut service[last]
      add states[0].sequence -1
      add commit.services -1
      add commit.final_records -1
      """,
      plain: .init([.commitTranscript, .finalOrder], [.finalTag, .finalOrder]),
      mended: .init([.sealSigner, .finalOrder], [.finalTag, .finalOrder])),
    Attack(
      "clear-last-flag", [30, 13], "a last token that says it is not the last",
      "set token[last].flags zero", plain: .init([.finalOrder], [.epochTag]),
      mended: .init([.finalOrder], [.epochTag])),
    Attack(
      "omit-service", [32], "the vTPM left out", "cut service[last]",
      plain: .init([.finalOrder], [.finalOrder]), mended: .init([.finalOrder], [.finalOrder])),
    Attack(
      "omit-service-counted", [32], "the vTPM left out, and the commit's counts changed for it",
      """
      cut service[last]
      add commit.services -1
      add commit.final_records -1
      """,
      plain: .init([.finalOrder], [.finalOrder]), mended: .init([.finalOrder], [.finalOrder])),
  ]
}
