internal import Errors

extension Attack {
  /// Huge lengths, and downgraded versions and algorithms.
  static let lengths: [Attack] = [
    Attack(
      "huge-configuration", [38], "huge: the machine's name", "set configuration.length ones",
      plain: .init([.configuration], [.configuration]),
      mended: .init([.configuration], [.configuration])),
    Attack(
      "huge-report", [38], "huge: the source's report", "set session.report_length ones",
      plain: .init([.sessionSyntax], [.sessionSyntax]),
      mended: .init([.sessionSyntax], [.sessionSyntax])),
    Attack(
      "huge-certificates", [38], "huge: the source's certificates",
      "set session.certificates_length ones", plain: .init([.sessionSyntax], [.sessionSyntax]),
      mended: .init([.sessionSyntax], [.sessionSyntax])),
    Attack(
      "huge-map", [38], "huge: the number of mapped ranges", "set map.count ones",
      plain: .init([.guestMap], [.guestMap]), mended: .init([.guestMap], [.guestMap])),
    Attack(
      "huge-map-range", [38], "huge: a mapped range", "set map.entry[?].size fffffffffffff000",
      plain: .init([.guestMap], [.guestMap]), mended: .init([.guestMap], [.guestMap])),
    Attack(
      "huge-ram-list", [38], "huge: the sum of RAM blocks",
      "set body(ram.start) fffffffffffff004", plain: .init([.ramList], [.ramList]),
      mended: .init([.ramList], [.ramList])),
    Attack(
      "huge-ram-offset", [38], "huge: an offset in a RAM block",
      "set ram.page[?].word+1 ffffffffff", plain: .init([.ramOffset], [.ramOffset]),
      mended: .init([.ramOffset], [.ramOffset])),
    Attack(
      "huge-sequence", [38], "huge: a sequence number", "set page[?].sequence ones",
      plain: .init([.pageSequence], [.pageTag]), mended: .init([.pageSequence], [.pageTag])),
    Attack(
      "huge-token", [38], "huge: a token's counts",
      """
      set token[last].records ones
      set token[last].migrated ones
      """,
      plain: .init([.epochCount], [.epochTag])),
    Attack(
      "huge-machine", [38], "huge: the VMM's list of its devices", "set machine.length ones",
      plain: .init([.sectionLength], [.sectionLength]),
      mended: .init([.sectionLength], [.sectionLength])),
    Attack(
      "huge-machine-entry", [38], "huge: a body of a device", "set machine.entry[?].length ones",
      plain: .init([.machineSyntax], [.machineSyntax]),
      mended: .init([.machineSyntax], [.machineSyntax])),
    Attack(
      "huge-vcpu", [38], "huge: a vCPU's ciphertext", "set vcpu[?].length ones",
      plain: .init([.sectionLength], [.sectionLength]),
      mended: .init([.sectionLength], [.sectionLength])),
    Attack(
      "huge-states", [38], "huge: the page-state map", "set states[last].length 00800018",
      plain: .init([.streamTruncated], [.streamTruncated]),
      mended: .init([.streamTruncated], [.streamTruncated])),
    Attack(
      "huge-optional", [38], "huge: an optional section",
      "insert before vcpu hex:"
        + "040000038409782d756e6b6e6f776e0000000080000001ffffffff0102037e00000384",
      plain: .init([.sectionLength], [.sectionLength]),
      mended: .init([.sectionLength], [.sectionLength])),
    Attack(
      "huge-commit", [38], "huge: the commit's counts",
      """
      set commit.vcpus ones
      set commit.services ones
      """,
      plain: .init([.commitTotals], [.commitTag])),
    Attack(
      "huge-seal-chunks", [38], "huge: the seal's number of chunks", "set seal.chunk_count ones",
      plain: .init([.sealSyntax], [.sealSyntax])),
    Attack(
      "huge-seal-length", [38], "huge: the seal's covered length", "set seal.covered_length ones",
      plain: .init([.sealSyntax], [.sealSyntax])),
    Attack(
      "huge-seal-trailer", [38], "huge: the seal's trailer", "set seal.trailer_length ones",
      plain: .init([.sealSignature], [.sealSignature])),
    Attack(
      "huge-description", [38], "huge: the VM description", "set description.length ones",
      plain: .init([.vmdescriptionSyntax], [.vmdescriptionSyntax])),
    Attack(
      "downgrade-stream", [39], "an older version of the container", "set file.version 00000002",
      plain: .init([.streamVersion], [.streamVersion]),
      mended: .init([.streamVersion], [.streamVersion])),
    Attack(
      "downgrade-section", [39], "an older version of a section",
      "set header(vcpu[?]).version zero", plain: .init([.sectionVersion], [.sectionVersion]),
      mended: .init([.sectionVersion], [.sectionVersion])),
    Attack(
      "downgrade-session", [39], "an older version of the session", "set session.version zero",
      plain: .init([.sessionVersion], [.sessionVersion]),
      mended: .init([.sessionVersion], [.sessionVersion])),
    Attack(
      "downgrade-kem", [39], "another key encapsulation", "set session.kem 0010",
      plain: .init([.sessionSuite], [.sessionSuite]),
      mended: .init([.sessionSuite], [.sessionSuite])),
    Attack(
      "downgrade-kdf", [39], "another key derivation", "set session.kdf 0001",
      plain: .init([.sessionSuite], [.sessionSuite]),
      mended: .init([.sessionSuite], [.sessionSuite])),
    Attack(
      "downgrade-cipher", [39], "a weaker cipher", "set session.aead 0001",
      plain: .init([.sessionSuite], [.sessionSuite]),
      mended: .init([.sessionSuite], [.sessionSuite])),
    Attack(
      "downgrade-flags", [39], "unknown flags of the session", "set session.flags+0 80",
      plain: .init([.sessionSyntax], [.sessionSyntax]),
      mended: .init([.sessionSyntax], [.sessionSyntax])),
    Attack(
      "downgrade-mutual", [39], "a session that says it needs no proof, or has one",
      "flip session.flags+3 mask=01", plain: .init([.sessionSyntax], [.sessionSyntax]),
      mended: .init([.sessionSyntax], [.sessionSyntax])),
    Attack(
      "downgrade-proof", [27, 39], "a session whose proof was cut out",
      """
      cut session.report
      cut session.certificates
      set session.flags 00000002
      set session.report_length zero
      set session.certificates_length zero
      """,
      plain: .init([.epochTranscript], [.sessionKey], loaded: [.sessionOneWay]),
      mended: .init([.epochTranscript], [.sessionKey], loaded: [.sessionOneWay])),
    Attack(
      "downgrade-commit", [39], "an older version of the commit", "set commit.version zero",
      plain: .init([.sessionVersion], [.commitTag])),
    Attack(
      "downgrade-seal", [39], "another version of the seal", "set seal.version 0002",
      plain: .init([.sealSyntax], [.sealSyntax])),
    Attack(
      "downgrade-seal-hash", [39], "another hash of the seal", "set seal.hash 0002",
      plain: .init([.sealSyntax], [.sealSyntax])),
  ]
}
