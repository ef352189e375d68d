/// vCPUs, services, the secrets page and the commit.
extension CodeRow {
  static let finalState = [
    CodeRow(
      .finalTag, .stream("9", rule: 2), meaning: "a final record does not authenticate",
      causes: [
        "damage in a vCPU, service, secrets or map record",
        "a record of another session in its place",
        "two records exchanged",
      ],
      remedy: "get the stream again; the section in the message names the piece"),
    CodeRow(
      .finalOrder, .stream("9"), in: [.commit: .stream("14", rule: 3)],
      meaning:
        "a final record or the commit out of order, of an unknown kind, or in another's section",
      causes: [
        "final records dropped, repeated or swapped",
        "state that is older than the last memory: records before the last token",
      ],
      remedy: "get the stream again, and do not trust the host that carried it"),
    CodeRow(
      .vcpuSyntax, .stream("10"), meaning: "a vCPU's record or VMSA has a wrong form or length",
      causes: ["a VMSA file of another size", "a source that writes another layout"],
      remedy: "fix the bundle; in a stream: a source bug"),
    CodeRow(
      .vcpuCount, .stream("14", rule: 6), meaning: "the guest has no vCPU",
      causes: ["a bundle without vCPUs", "a source that lost them"],
      remedy:
        "give the guest a vCPU with \(.vmsa); in a stream: report it to the source's developers"),
    CodeRow(
      .vcpuRepeated, .stream("10"), meaning: "two vCPUs have one APIC id",
      causes: ["a bundle in which a vCPU was copied", "a source that sends one vCPU twice"],
      remedy: "fix the bundle; in a stream: a source bug"),
    CodeRow(
      .vcpuVMPL, .stream("10", rule: 1), in: [.commit: .stream("14", rule: 9)],
      meaning: """
        a vCPU's level is not the guest's, as its other vCPUs and its secrets page name it, or \
        is 0
        """,
      causes: [
        "a VMSA that would give the guest the SVSM's level",
        "a secrets page made for another level",
        "VMSAs of two guests in one bundle",
      ],
      remedy: "there is no remedy: the guest would get a level, or a key, that is not its own"),
    CodeRow(
      .vcpuEFER, .stream("10", rule: 4), meaning: "EFER.SVME is clear in a VMSA",
      causes: [
        "a VMSA that was put together by hand",
        "registers of a guest that is not under SNP",
      ],
      remedy: "hardware would not run it; fix the guest"),
    CodeRow(
      .vcpuFeatures, .stream("10", rule: 2),
      meaning: "SEV_FEATURES differ from this destination's demand, or registers are tweaked",
      causes: [
        "the destination was prepared with other \(.features)",
        "a VMSA with features the host would like to add",
      ],
      remedy: "prepare the destination for the guest's features"),
    CodeRow(
      .serviceSyntax, .stream("11"),
      meaning: "a service's record is not well formed or too long, or a kind is repeated",
      causes: ["blobs of more than 8 MiB together", "a source that sends one kind twice"],
      remedy: "fix the bundle; in a stream: a source bug"),
    CodeRow(
      .serviceUnknown, .stream("11"), meaning: "a mandatory service is unknown to this destination",
      causes: ["the guest uses a service that only its old SVSM has"],
      remedy: "use a destination that has the service"),
    CodeRow(
      .secretsPage, .stream("12"),
      in: [.pageStates: .stream("14", rule: 9), .commit: .stream("14", rule: 9)],
      meaning: """
        the secrets page, or its record, is missing, not well formed, or does not fit the map of \
        the guest's pages
        """,
      causes: [
        "map and record name different places",
        "the page says that the SVSM lies where the guest's pages are",
        "a secrets page copied raw",
        "a bundle that was edited",
      ],
      remedy: "fix the bundle; in a stream: a source bug"),
    CodeRow(
      .commitTag, .stream("14", rule: 1), meaning: "the commit does not authenticate",
      causes: ["damage in the commit", "a commit of another session"],
      remedy: "get the stream again: without a good commit nothing is loaded"),
    CodeRow(
      .commitTotals, .stream("14", rule: 4),
      meaning: "the commit's totals do not add up or are not the stream's",
      causes: ["final records or pages dropped or added", "damage in the counts"],
      remedy: "get the stream again: the numbers expected and got show what is missing"),
    CodeRow(
      .commitTranscript, .stream("14", rule: 5),
      meaning: "the commit's transcript is not the stream's",
      causes: [
        "any change of session, metadata, tags, tokens or final records before it",
        "damage in the transcript itself",
      ],
      remedy: "get the stream again: the change lies after the last good token"),
  ]
}
