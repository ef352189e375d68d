/// What is said of codes about final state and the seal.
extension Explanation {
  static let finalTag = Explanation(
    meaning: "a final record does not authenticate",
    causes: [
      "damage in a vCPU, service, secrets or map record",
      "a record of another session in its place",
      "two records exchanged",
    ],
    remedy: "get the stream again; the section named tells which piece")

  static let finalOrder = Explanation(
    meaning:
      "a final record or the commit out of order, of an unknown kind, or in another's section",
    causes: [
      "final records dropped, repeated or swapped",
      "state that is older than the last memory: records before the last token",
    ],
    remedy: "get the stream again, and do not trust the host that carried it")

  static let vcpuSyntax = Explanation(
    meaning: "a vCPU's record or VMSA has a wrong form or length",
    causes: [
      "a VMSA file of another size",
      "a source that writes another layout",
    ],
    remedy: "fix the bundle; in a stream: a source bug")

  static let vcpuCount = Explanation(
    meaning: "no vCPU came with the guest",
    causes: [
      "a bundle without vCPUs",
      "a source that lost them",
    ],
    remedy: "give the guest a vCPU with --vmsa; in a stream: report it to the source's makers")

  static let vcpuRepeated = Explanation(
    meaning: "two vCPUs have one APIC id",
    causes: [
      "a bundle in which a vCPU was copied",
      "a source that sends one vCPU twice",
    ],
    remedy: "fix the bundle; in a stream: a source bug")

  static let vcpuVMPL = Explanation(
    meaning:
      "a vCPU's level is not the guest's, as its other vCPUs and its secrets page name it, or is 0",
    causes: [
      "a VMSA that would give the guest the SVSM's level",
      "a secrets page made for another level",
      "VMSAs of two guests in one bundle",
    ],
    remedy: "the guest would have a level, or a key, that is not its own: refused for good")

  static let vcpuEFER = Explanation(
    meaning: "EFER.SVME is clear in a VMSA",
    causes: [
      "a VMSA that was put together by hand",
      "registers of a guest that is not under SNP",
    ],
    remedy: "hardware would not run it; fix the guest")

  static let vcpuFeatures = Explanation(
    meaning: "SEV_FEATURES are not those this destination demands, or registers are tweaked",
    causes: [
      "the destination was prepared with other --sev-features",
      "a VMSA with features the host would like to add",
    ],
    remedy: "prepare the destination for the guest's features")

  static let serviceSyntax = Explanation(
    meaning: "a service's record is not well formed or too long, or a kind comes twice",
    causes: [
      "a blob beyond 16 MiB",
      "a source that sends one kind twice",
    ],
    remedy: "fix the bundle; in a stream: a source bug")

  static let serviceUnknown = Explanation(
    meaning: "a mandatory service is not known here",
    causes: [
      "the guest uses a service that only its old SVSM has"
    ],
    remedy: "use a destination that has the service")

  static let secretsPage = Explanation(
    meaning:
      "the secrets page, or its record, is missing, not well formed, or does not fit the map of "
      + "the guest's pages",
    causes: [
      "map and record name different places",
      "the page says that the SVSM lies where the guest's pages are",
      "a secrets page copied raw",
      "a bundle that was edited",
    ],
    remedy: "fix the bundle; in a stream: a source bug")

  static let commitTag = Explanation(
    meaning: "the commit does not authenticate",
    causes: [
      "damage in the commit",
      "a commit of another session",
    ],
    remedy: "get the stream again: without a good commit nothing is loaded")

  static let commitTotals = Explanation(
    meaning: "the commit's totals do not add up or are not the stream's",
    causes: [
      "final records or pages dropped or added",
      "damage in the counts",
    ],
    remedy: "get the stream again: expected and got tell what is missing")

  static let commitTranscript = Explanation(
    meaning: "the commit's transcript is not the stream's",
    causes: [
      "any change of session, metadata, tags, tokens or final records before it",
      "damage in the transcript itself",
    ],
    remedy: "get the stream again: the change lies behind the last good token")

  static let sealMissing = Explanation(
    meaning: "no seal behind the end of the sections",
    causes: [
      "the seal was stripped",
      "a stream cut off behind its sections",
      "a plain stream that never had one",
    ],
    remedy: "seal the stream, or get the whole of it")

  static let sealPresent = Explanation(
    meaning: "the stream to be sealed is sealed already",
    causes: [
      "svsm-mig-seal ran twice"
    ],
    remedy: "keep its seal; nothing takes it off")

  static let sealSyntax = Explanation(
    meaning: "the seal is not well formed, or of an unknown version",
    causes: [
      "damage in the first 216 bytes of the seal",
      "a seal of a newer version",
    ],
    remedy: "get the stream again")

  static let sealLength = Explanation(
    meaning: "the seal covers another number of bytes than stand before it",
    causes: [
      "a record dropped, repeated or put in",
      "the seal of another stream",
    ],
    remedy: "get the stream again: what was cut out or put in lies before the first bad chunk's end"
  )

  static let sealRoot = Explanation(
    meaning: "the seal's leaves do not give its root",
    causes: [
      "damage in the leaves or in the root"
    ],
    remedy: "get the stream again; the chunks themselves may be good")

  static let sealChunk = Explanation(
    meaning: "a chunk is not what was sealed",
    causes: [
      "damage in that chunk: one bit is enough",
      "a change that was made on purpose and not sealed anew",
    ],
    remedy: "the offset is the chunk's start: the damage lies in the 256 KiB from there")

  static let sealTrailer = Explanation(
    meaning: "the VM description is not what was sealed, or not there",
    causes: [
      "the VM description was edited, cut off or put in",
      "damage in it",
    ],
    remedy: "get the stream again; QEMU's own tools read that text, ours do not")

  static let sealSigner = Explanation(
    meaning: "the seal is not signed, or by another key than the session's source, or the instance "
      + "that was named",
    causes: [
      "the stream was changed and sealed anew by somebody else",
      "a seal without a signature",
      "the wrong instance was named",
    ],
    remedy: "take the stream from its source again, and ask who sealed this one")

  static let sealSignature = Explanation(
    meaning: "the seal's signature is wrong, or not in its one form",
    causes: [
      "damage in the seal's fixed part or in the signature",
      "a seal that somebody composed without the key",
    ],
    remedy: "get the stream again")
}
