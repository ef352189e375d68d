internal import Errors
internal import Wire

extension Attack {
  /// Early ends, additions after the end, and the seal.
  static let borders: [Attack] = [
    Attack(
      "truncate-all", [13], "the stream ends before its first byte", "truncate at 0",
      plain: .init([.streamEmpty], [.streamEmpty])),
    Attack(
      "truncate-in-header", [13], "the stream ends in its header", "truncate at 6",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-in-session", [13], "the stream ends in the session",
      "truncate at session.wrapped_key", plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-before-map", [13], "the stream ends before the guest map", "truncate at map",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-in-page", [13], "the stream ends in a page", "truncate at page[?].content+100",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-between-pages", [13], "the stream ends between two pages",
      "truncate at page[?+1]", plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-before-token", [13], "the stream ends before the last epoch token",
      "truncate at token[last]", plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-in-shared", [13], "the stream ends in shared memory",
      "truncate at ram.content[?].content+100",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-before-final", [13], "the stream ends before the first final record",
      "truncate at vcpu", plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-in-vcpu", [13], "the stream ends in a vCPU", "truncate at vcpu[?].ciphertext+100",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-before-commit", [13], "the stream ends before the commit", "truncate at commit",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-in-commit", [13], "the stream ends in the commit",
      "truncate at commit.transcript", plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-before-eof", [13], "the stream ends after the commit", "truncate at eof",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-before-seal", [13], "the stream ends after its sections", "truncate at seal",
      plain: .init([.sealMissing], [.sealMissing])),
    Attack(
      "truncate-in-seal", [13], "the stream ends in the seal", "truncate at seal.signature+10",
      plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "truncate-before-description", [13], "the stream ends before the VM description",
      "truncate at description", plain: .init([.vmdescriptionMissing], [.vmdescriptionMissing])),
    Attack(
      "truncate-in-description", [13], "the stream ends in the VM description",
      "truncate at description.text+10", plain: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "append-byte", [14], "a byte after the end", "append hex:00",
      plain: .init([.streamTrailing], [.streamTrailing]),
      mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "append-stream", [14], "the stream a second time after its end",
      "copy rest(file) after description", plain: .init([.streamTrailing], [.streamTrailing]),
      mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "page-after-commit", [14], "a page after the commit", "copy page[last] after commit",
      plain: .init([.sectionOrder], [.sectionOrder]),
      mended: .init([.sectionOrder], [.sectionOrder])),
    Attack(
      "final-after-commit", [14], "a service after the commit",
      "move service[last] after commit", plain: .init([.finalOrder], [.finalOrder]),
      mended: .init([.finalOrder], [.finalOrder])),
    Attack(
      "section-after-eof", [14], "the commit a second time, after the end of the sections",
      "copy commit after eof", plain: .init([.sealMissing], [.sealMissing]),
      mended: .init([.sealMissing], [.sealMissing])),
    Attack(
      "unknown-section", [14, 39], "an unknown mandatory section",
      "insert before vcpu hex:"
        + "040000038409782d756e6b6e6f776e0000000000000001000000030102037e00000384",
      plain: .init([.sectionUnknown], [.sectionUnknown]),
      mended: .init([.sectionUnknown], [.sectionUnknown])),
    Attack(
      "optional-section", [14], "an unknown optional section",
      "insert before vcpu hex:"
        + "040000038409782d756e6b6e6f776e0000000080000001000000030102037e00000384",
      plain: .init([.sealLength], [.sealLength]), mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "optional-section-behind-commit", [14], "the same after the commit",
      "insert before eof hex:"
        + "040000038409782d756e6b6e6f776e0000000080000001000000030102037e00000384",
      plain: .init([.sealLength], [.sealLength]), mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "known-section-optional", [14, 39], "a known section with the bit of an optional one",
      "set header(vcpu[?]).version 80000001", plain: .init([.sectionVersion], [.sectionVersion]),
      mended: .init([.sectionVersion], [.sectionVersion])),
    Attack(
      "command", [14], "a command of QEMU's", "insert before vcpu hex:0800010000",
      plain: .init([.command], [.command]), mended: .init([.command], [.command])),
    Attack(
      "seal-stripped", [1, 14], "no seal", "cut seal",
      plain: .init([.sealMissing], [.sealMissing])),
    Attack(
      "seal-unsigned", [1], "an unsigned seal", "repair unsigned",
      plain: .init([.sealSigner], [.sealSigner])),
    Attack(
      "seal-remade", [1], "a seal over other bytes, under the old signature",
      """
      flip ram.content[?].content mask=ff
      repair
      """,
      plain: .init([.sealSignature], [.sealSignature])),
    Attack(
      "seal-by-another-key", [1],
      "shared memory rewritten, and the seal made by a key of the host's",
      """
      flip ram.content[?].content mask=ff
      repair resign
      """,
      plain: .init([.sealSigner], [.sealSigner])),
    Attack(
      "seal-by-replaced-source", [1, 21],
      "the same, and the session names the host's key as its source's",
      """
      flip ram.content[?].content mask=ff
      repair resign session
      """,
      plain: .init([.reportData, nil], [.reportData, .pageTag])),
    Attack(
      "seal-of-another", [6], "the seal of another stream", "splice seal from second seal",
      plain: .init([.sealChunk, .sealLength], [.sealChunk, .sealLength])),
    Attack(
      "seal-covers-less", [1, 13], "a seal that covers a byte less", "add seal.covered_length -1",
      plain: .init([.sealLength], [.sealLength])),
    Attack(
      "description-dropped", [1], "no VM description", "cut description",
      plain: .init([.vmdescriptionMissing], [.vmdescriptionMissing]),
      mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "description-rewritten", [1], "a VM description that names another section",
      "set description.text+20 text:?", plain: .init([.sealTrailer], [.sealTrailer]),
      mended: .init([.sealSigner], [.sealSigner])),
  ]
}
