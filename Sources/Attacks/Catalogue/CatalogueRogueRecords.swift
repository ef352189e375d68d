internal import Errors
internal import Wire

extension Attack {
  /// A source that lies about its guest, with good tags and a good seal.
  static let rogueRecords: [Attack] = [
    Attack(
      "rogue-vmsa-vmpl0", [29], "a vCPU that would run at VMPL 0", "forge vcpu[?].vmsa.VMPL 00",
      plain: .init([nil], [.vcpuVMPL])),
    Attack(
      "rogue-vcpu-vmpl0", [29], "a vCPU that is declared to be of VMPL 0",
      """
      forge vcpu[?].vmpl 00
      forge vcpu[?].vmsa.VMPL 00
      """,
      plain: .init([nil], [.vcpuVMPL])),
    Attack(
      "rogue-vmpl-mixed", [29], "two vCPUs of one guest at two levels",
      """
      forge vcpu[1].vmpl 03
      forge vcpu[1].vmsa.VMPL 03
      """,
      plain: .init([nil], [.vcpuVMPL])),
    Attack(
      "rogue-features", [29, 40], "a vCPU with other SEV features",
      "forge vcpu[?].vmsa.SEV_FEATURES 2100000000000000", plain: .init([nil], [.vcpuFeatures])),
    Attack(
      "rogue-secure-tsc", [29, 41],
      "a vCPU under SecureTSC, which the destination does not offer",
      "forge vcpu[?].vmsa.SEV_FEATURES 0102000000000000", plain: .init([nil], [.vcpuFeatures])),
    Attack(
      "rogue-efer", [29], "a vCPU without EFER.SVME", "forge vcpu[?].vmsa.EFER zero",
      plain: .init([nil], [.vcpuEFER])),
    Attack(
      "rogue-apic-twice", [28], "two vCPUs with one APIC id", "forge vcpu[1].apic_id zero",
      plain: .init([nil], [.vcpuRepeated])),
    Attack(
      "rogue-vcpu-syntax", [29, 38], "a vCPU whose reserved bytes are set",
      "forge vcpu[?].plaintext.reserved 01", plain: .init([nil], [.vcpuSyntax])),
    Attack(
      "rogue-vcpu-short", [29, 38], "a VMSA that is cut short",
      "forge vcpu[?].plaintext hex:000000000200000000000000000000000102",
      plain: .init([.vcpuSyntax], [.vcpuSyntax])),
    Attack(
      "rogue-no-vcpu", [28], "a guest without a vCPU",
      """
      cut all(vcpu)
      rogue
      """,
      plain: .init([.vcpuCount], [.vcpuCount])),
    Attack(
      "rogue-page-dropped", [4], "a validated page left out, consistently",
      """
      cut page.once[?]
      rogue
      """,
      plain: .init([nil], [.mapMissingPage])),
    Attack(
      "rogue-page-twice", [9, 5], "a page twice in one epoch, consistently",
      """
      copy page[?] after page[?]
      rogue
      """,
      plain: .init([.pageRepeated], [.pageRepeated])),
    Attack(
      "rogue-page-unexpected", [10, 12], "a page at an address that is not private",
      "forge page.once[?].gpa =0x100000000000", plain: .init([.guestMap], [.guestMap])),
    Attack(
      "rogue-page-beyond", [8, 38], "a page at the end of 64 bits",
      "forge page[?].gpa fffffffffffff000", plain: .init([.pageAddress], [.pageAddress])),
    Attack(
      "rogue-sequence-again", [2, 35], "a sequence number used twice",
      "forge page[?+1].sequence =1", plain: .init([.pageSequence], [.pageSequence])),
    Attack(
      "rogue-epoch", [2], "a page of another epoch", "forge page[?].epoch mask=04",
      plain: .init([.pageEpoch], [.pageEpoch])),
    Attack(
      "rogue-operation", [12], "a newer version of a page that was never sent",
      "forge page.once[?].operation 02", plain: .init([.pageOperation], [.pageOperation])),
    Attack(
      "rogue-page-size", [9], "a page under an RMP entry of unknown size",
      "forge page[?].rmp_page_size 02", plain: .init([.pageSize], [.pageSize])),
    Attack(
      "rogue-permissions", [29], "impossible permissions",
      "forge page[?].vmpl_permissions ff000000",
      plain: .init([.pagePermissions], [.pagePermissions])),
    Attack(
      "rogue-unvalidated", [11], "a page that was never validated", "forge page[?].validated 00",
      plain: .init([.pageOperation], [.pageOperation])),
    Attack(
      "rogue-token-counts", [4], "a token that counts a page too many",
      "forge token[last].migrated =999999", plain: .init([.epochCount], [.epochCount])),
    Attack(
      "rogue-token-transcript", [4], "a token with another transcript",
      "forge token[last].transcript zero", plain: .init([.epochTranscript], [.epochTranscript])),
    Attack(
      "rogue-token-epoch", [3], "a token of another epoch", "forge token[last].epoch mask=04",
      plain: .init([.epochOrder], [.epochTag])),
    Attack(
      "rogue-token-open", [30], "final state though no token was the last",
      "forge token[last].flags zero", plain: .init([.finalOrder], [.finalOrder])),
    Attack(
      "rogue-commit-totals", [13], "a commit that counts a page too many",
      "forge commit.page_records =999999", plain: .init([.commitTotals], [.commitTotals])),
    Attack(
      "rogue-commit-pages", [13], "a commit of other private pages",
      "forge commit.private_pages =999999", plain: .init([.commitTotals], [.commitTotals])),
    Attack(
      "rogue-commit-transcript", [13], "a commit with another transcript",
      "forge commit.transcript zero", plain: .init([.commitTranscript], [.commitTranscript])),
    Attack(
      "rogue-first-run", [10, 11], "shared pages that the map calls validated, or the reverse",
      """
      forge states.run[0].state mask=03
      forge states.run[0].permissions zero
      """,
      plain: .init([nil], [.mapSyntax, .mapMissingPage, .mapUnexpectedPage])),
    Attack(
      "rogue-last-run", [10, 11], "the same at the end of memory",
      """
      forge states.run[last].state mask=03
      forge states.run[last].permissions zero
      """,
      plain: .init([nil], [.mapMissingPage, .mapUnexpectedPage, .mapSyntax])),
    Attack(
      "rogue-unaccepted-run", [10, 11], "pages that the map calls never accepted",
      """
      forge states.run[0].state 03
      forge states.run[0].permissions zero
      """, needsOneEpoch: true,
      plain: .init([nil], [.mapUnexpectedPage, .mapSharedAtPrivate, .mapSyntax])),
    Attack(
      "rogue-page-at-shared", [10, 12], "a private page where shared memory is",
      """
      copy page.once[?] after page[last] as made
      set made.gpa shared-address
      rogue
      """,
      plain: .init([.mapSharedAtPrivate, nil], [.mapSharedAtPrivate, .mapUnexpectedPage])),
    Attack(
      "rogue-late-page", [30, 14], "a page after the last token, under a good tag",
      """
      copy page[last] after token[last]
      rogue
      """,
      plain: .init([.epochOrder], [.epochOrder])),
    Attack(
      "rogue-overlapping-runs", [9, 38], "runs of the page-state map that overlap",
      "forge states.run[1].gpa zero", plain: .init([nil], [.mapSyntax])),
    Attack(
      "rogue-huge-run", [38], "a run of more pages than there are addresses",
      "forge states.run[last].pages ones", plain: .init([nil], [.mapSyntax])),
    Attack(
      "rogue-empty-run", [38], "a run without a page", "forge states.run[?].pages zero",
      plain: .init([nil], [.mapSyntax])),
    Attack(
      "rogue-run-size", [9], "a run of large pages that is not aligned",
      """
      forge states.run[?].size 01
      forge states.run[?].pages =1
      """,
      plain: .init([nil], [.mapSyntax])),
    Attack(
      "rogue-two-secrets", [33], "another secrets page than the guest's",
      "forge states.run[?].state 04", plain: .init([nil], [.mapSyntax, .secretsPage])),
    Attack(
      "rogue-secrets-moved", [33], "a secrets record for another address",
      "forge secrets.gpa =0x1000", plain: .init([nil], [.secretsPage])),
    Attack(
      "rogue-secrets-raw", [33], "the secrets page as it is, as a private page",
      """
      copy page.once[?] after page[last] as raw
      set raw.gpa secrets-address
      rogue
      """,
      plain: .init([nil], [.mapUnexpectedPage])),
    Attack(
      "rogue-secrets-vmpl", [33, 29], "a guest OS at VMPL 0 in the secrets page",
      "forge secrets.facts.guest_vmpl 00", plain: .init([nil], [.secretsPage])),
    Attack(
      "rogue-secrets-level", [33, 29],
      "a secrets page of a level above the vCPUs', whose key stays in it",
      "forge secrets.facts.guest_vmpl 01", plain: .init([nil], [.vcpuVMPL])),
    Attack(
      "rogue-svsm-over-guest", [33, 9], "memory of the SVSM where pages of the guest are",
      """
      forge secrets.facts.svsm_base zero
      forge secrets.facts.svsm_size =0x8000000000
      """,
      plain: .init([nil], [.secretsPage])),
    Attack(
      "rogue-calling-area", [33], "a calling area in the memory of the SVSM",
      """
      forge secrets.facts.svsm_size =0x100000000000
      forge secrets.facts.svsm_calling_area =0x8000001000
      """,
      plain: .init([nil], [.secretsPage])),
    Attack(
      "rogue-secrets-dropped", [33], "no secrets record for the secrets page",
      """
      cut secrets
      rogue
      """,
      plain: .init([nil], [.secretsPage])),
    Attack(
      "rogue-service-unknown", [32], "an unknown mandatory service",
      "forge service[?].plaintext.kind 8001", plain: .init([nil], [.serviceUnknown])),
    Attack(
      "rogue-service-length", [38], "a wrong length of a service",
      "forge service[?].plaintext.length ones", plain: .init([nil], [.serviceSyntax])),
    Attack(
      "rogue-service-twice", [5, 31], "a vTPM twice, the second an older one",
      """
      copy service after service as older
      rogue
      forge older.generation =1
      """,
      plain: .init([nil], [.serviceSyntax])),
    Attack(
      "rogue-final-kind", [7], "a vCPU's record that says it is a service",
      "forge vcpu[?].kind 0002", plain: .init([.finalOrder], [.finalOrder])),
    Attack(
      "rogue-final-sequence", [3], "a final record out of sequence",
      "forge vcpu[?].sequence =999999", plain: .init([.finalOrder], [.finalOrder])),
    Attack(
      "rogue-private-as-shared", [10], "a private page sent as shared memory, consistently",
      """
      insert before ram.page[0] shared-record page.once[?]
      cut page.once[?]
      rogue
      """,
      plain: .init([nil], [.mapMissingPage])),
    Attack(
      "rogue-shared-over-private", [11],
      "the host's bytes over a private page, sealed by the source",
      sharedBehindPage + "\nrogue",
      plain: .init([.mapSharedAtPrivate], [.mapSharedAtPrivate])),
    Attack(
      "rogue-cancel-omitted", [12], "a withdrawal left out, consistently",
      """
      cut page.withdrawn[?]
      rogue
      """,
      // The guest has since shared the page or freed it; only its page states tell about the
      // latter.
      plain: .init([.mapSharedAtPrivate], [.mapSharedAtPrivate]).or([nil], [.mapUnexpectedPage])),
  ]
}
