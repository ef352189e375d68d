/// The seal.
extension CodeRow {
  static let seal = [
    CodeRow(
      .sealMissing, .stream("16", rule: 1), plain: .stream("16.1"),
      meaning: "no seal after the end of the sections",
      causes: [
        "the seal was stripped",
        "a stream cut off after its sections",
        "a plain stream that never had one",
      ],
      remedy: "seal the stream, or get the whole of it"),
    CodeRow(
      .sealPresent, .stream("16.1"), plain: nil,
      meaning: "the stream to be sealed is sealed already",
      causes: ["svsm-mig-seal ran twice"],
      remedy: "keep its seal; no tool removes it"),
    CodeRow(
      .sealSyntax, .stream("16", rule: 2), plain: nil,
      meaning: "the seal is not well formed, or of an unknown version",
      causes: ["damage in the first 216 bytes of the seal", "a seal of a newer version"],
      remedy: "get the stream again"),
    CodeRow(
      .sealLength, .stream("16", rule: 3), plain: nil,
      meaning: "the number of bytes that the seal covers is not that of the bytes before it",
      causes: ["a record dropped, repeated or inserted", "the seal of another stream"],
      remedy:
        "get the stream again: the bytes cut out or inserted lie before the first bad chunk's end"),
    CodeRow(
      .sealRoot, .stream("16", rule: 4), plain: nil,
      meaning: "the seal's leaves do not give its root",
      causes: ["damage in the leaves or in the root"],
      remedy: "get the stream again; the chunks themselves may be good"),
    CodeRow(
      .sealChunk, .stream("16", rule: 5), plain: nil, meaning: "a chunk does not match the seal",
      causes: [
        "damage in that chunk: one bit is enough",
        "a change that was made on purpose and not sealed anew",
      ],
      remedy: "the offset is the chunk's start: the damage lies in the 256 KiB from there"),
    CodeRow(
      .sealTrailer, .stream("16", rule: 8), plain: nil,
      meaning: "the VM description does not match the seal, or is missing",
      causes: ["the VM description was edited, cut off or inserted", "damage in it"],
      remedy: "get the stream again; QEMU's own tools read that text, ours do not"),
    CodeRow(
      .sealSigner, .stream("16", rule: 6), plain: .stream("16.1"),
      meaning: """
        the seal is not signed, or by another key than the session's source, or the instance \
        that was named
        """,
      causes: [
        "the stream was changed and sealed anew with another key",
        "a seal without a signature",
        "the wrong instance was named",
      ],
      remedy: "take the stream from its source again, and ask who sealed this one"),
    CodeRow(
      .sealSignature, .stream("16", rule: 7), plain: .stream("16.1"),
      meaning: "the seal's signature is wrong, or not in its one form",
      causes: [
        "damage in the seal's fixed part or in the signature",
        "a seal composed without the key",
      ],
      remedy: "get the stream again"),
  ]
}
