internal import Errors

extension Attack {
  /// Flipped bits, one region after the other, by a host without keys.
  static let flips: [Attack] = [
    Attack(
      "flip-file-header", [1], "one bit of the file's first bytes", "flip file.magic+? mask=?",
      plain: .init([.streamMagic], [.streamMagic]), mended: .init([.streamMagic], [.streamMagic])),
    Attack(
      "flip-machine-name", [1], "one bit of the machine's name",
      "flip configuration.name+? mask=?",
      // It is another name, or not valid UTF-8.
      plain: .init([.sealChunk], [.sealChunk]).or([.configuration], [.configuration]),
      mended: .init([.sealSigner], [.sealSigner]).or([.configuration], [.configuration])),
    Attack(
      "flip-section-name", [1], "one bit of a section's name",
      "flip header(epochs.start).name+? mask=?",
      plain: .init([.sectionUnknown], [.sectionUnknown]),
      mended: .init([.sectionUnknown], [.sectionUnknown])),
    Attack(
      "flip-section-id", [1], "one bit of a section's id", "flip header(page[?]).id mask=?",
      plain: .init([.sectionID], [.sectionID]), mended: .init([.sectionID], [.sectionID])),
    Attack(
      "flip-footer", [1], "one bit of a footer", "flip footer(page[?])+? mask=?",
      plain: .init([.sectionFooter], [.sectionFooter]),
      mended: .init([.sectionFooter], [.sectionFooter])),
    Attack(
      "flip-offer-digest", [1], "one bit of the digest of the offer",
      "flip session.offer_digest+? mask=?", plain: .init([.epochTranscript], [.sessionRecipient]),
      mended: .init([.sealSigner], [.sessionRecipient])),
    Attack(
      "flip-encapsulated-key", [1], "one bit of the encapsulated key",
      "flip session.encapsulated_key+? mask=?",
      plain: .init([.epochTranscript], [.reportData, .sessionKey]),
      mended: .init([.sealSigner], [.reportData, .sessionKey])),
    Attack(
      "flip-wrapped-key", [1], "one bit of the wrapped transport key",
      "flip session.wrapped_key+? mask=?",
      plain: .init([.epochTranscript], [.reportData, .sessionKey]),
      mended: .init([.sealSigner], [.reportData, .sessionKey])),
    Attack(
      "flip-source-report", [1, 21], "one bit of the content of the source's report",
      "flip session.report.MEASUREMENT+? mask=?",
      plain: .init([.epochTranscript], [.reportSignature]),
      mended: .init([.sealSigner], [.reportSignature])),
    Attack(
      "flip-source-signature", [1, 21], "one bit of the signature of the source's report",
      "flip session.report.SIGNATURE_R+? mask=?",
      // The flip hits the number, or the zeros after it.
      plain: .init([.epochTranscript], [.reportSignature])
        .or([.epochTranscript], [.reportReserved]),
      mended: .init([.sealSigner], [.reportSignature]).or([.sealSigner], [.reportReserved])),
    Attack(
      "flip-source-certificates", [1, 24], "one bit of a certificate of the source",
      "flip session.certificates+1200 mask=?",
      plain: .init([.epochTranscript], [.certificateChain]),
      mended: .init([.sealSigner], [.certificateChain])),
    Attack(
      "flip-guest-map", [1], "one bit of an address in the map", "flip map.entry[?].gpa+? mask=?",
      // The result is an address at which no RAM can be mapped, or another valid one.
      plain: .init([.guestMap], [.guestMap])
        .or(
          [.guestMap, .mapSharedAtPrivate, .sealChunk],
          [.guestMap, .mapSharedAtPrivate, .sealChunk]),
      mended: .init([.guestMap], [.guestMap])
        .or(
          [.guestMap, .mapSharedAtPrivate, .sealSigner],
          [.guestMap, .mapSharedAtPrivate, .sealSigner])),
    Attack(
      "flip-shared-memory", [1], "one bit of shared memory",
      "flip ram.content[?].content+? mask=?", plain: .init([.sealChunk], [.sealChunk]),
      mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "flip-page-metadata", [1], "one bit of a page's address", "flip page[?].gpa+? mask=?",
      // The result is not a page address, an address without memory or with shared memory, or that
      // of another record.
      plain: .init(
        [
          .pageAddress, .guestMap, .mapSharedAtPrivate, .epochTranscript, .pageRepeated,
          .pageOperation,
        ], [.pageTag]),
      mended: .init(
        [
          .pageAddress, .guestMap, .mapSharedAtPrivate, .sealSigner, .pageRepeated, .pageOperation,
        ], [.pageTag])),
    Attack(
      "flip-page-tag", [1], "one bit of a page's tag", "flip page[?].tag+? mask=?",
      plain: .init([.epochTranscript], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "flip-page-content", [1], "one bit of a page's ciphertext",
      "flip page.once[?].content+? mask=?",
      plain: .init([.sealChunk], [.pageTag]), mended: .init([.sealSigner], [.pageTag])),
    Attack(
      "flip-token-counts", [1], "one bit of an epoch token's counts",
      "flip token[?].records+? mask=?", plain: .init([.epochCount], [.epochTag])),
    Attack(
      "flip-token-transcript", [1], "one bit of an epoch token's transcript",
      "flip token[?].transcript+? mask=?", plain: .init([.epochTranscript], [.epochTag])),
    Attack(
      "flip-token-tag", [1], "one bit of an epoch token's tag", "flip token[?].tag+? mask=?",
      plain: .init([.commitTranscript, .epochTranscript], [.epochTag]),
      mended: .init([.sealSigner], [.epochTag])),
    Attack(
      "flip-vcpu", [1], "one bit of a vCPU's ciphertext", "flip vcpu[?].ciphertext+? mask=?",
      plain: .init([.sealChunk], [.finalTag]), mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "flip-vcpu-tag", [1], "one bit of a vCPU's tag", "flip vcpu[?].tag+? mask=?",
      plain: .init([.commitTranscript], [.finalTag]), mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "flip-service", [1, 31], "one bit of a service's ciphertext",
      "flip service[?].ciphertext+? mask=?", plain: .init([.sealChunk], [.finalTag]),
      mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "flip-secrets", [1, 33], "one bit of the secrets record",
      "flip secrets.ciphertext+? mask=?", plain: .init([.sealChunk], [.finalTag]),
      mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "flip-states", [1, 10, 11], "one bit of the page-state map",
      "flip states[?].ciphertext+? mask=?", plain: .init([.sealChunk], [.finalTag]),
      mended: .init([.sealSigner], [.finalTag])),
    Attack(
      "flip-machine-state", [1], "one bit of the VMM's list of its devices",
      "flip machine.version+? mask=?", plain: .init([.machineSyntax], [.machineSyntax]),
      mended: .init([.machineSyntax], [.machineSyntax])),
    Attack(
      "flip-device", [1], "one bit of a device's state", "flip body(device[?])+? mask=?",
      plain: .init([.sealChunk], [.sealChunk]), mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "flip-commit-counts", [1], "one bit of the commit's counts",
      "flip commit.page_records+? mask=?", plain: .init([.commitTotals], [.commitTag])),
    Attack(
      "flip-commit-transcript", [1], "one bit of the commit's transcript",
      "flip commit.transcript+? mask=?", plain: .init([.commitTranscript], [.commitTag])),
    Attack(
      "flip-commit-tag", [1], "one bit of the commit's tag", "flip commit.tag+? mask=?",
      plain: .init([.sealChunk], [.commitTag]), mended: .init([.sealSigner], [.commitTag])),
    Attack(
      "flip-seal-root", [1], "one bit of the seal's root", "flip seal.root+? mask=?",
      plain: .init([.sealRoot], [.sealRoot])),
    Attack(
      "flip-seal-leaf", [1], "one bit of a leaf of the seal", "flip seal.leaf[?]+? mask=?",
      plain: .init([.sealRoot], [.sealRoot])),
    Attack(
      "flip-seal-signature", [1], "one bit of the seal's signature",
      "flip seal.signature+? mask=?", plain: .init([.sealSignature], [.sealSignature])),
    Attack(
      "flip-description", [1], "one bit of the VM description", "flip description.text+? mask=?",
      plain: .init([.sealTrailer], [.sealTrailer]), mended: .init([.sealSigner], [.sealSigner])),
  ]
}
