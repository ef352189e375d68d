/// Reports, certificates and policies.
extension CodeRow {
  static let attestation = [
    CodeRow(
      .reportLength, .structures("1.6"),
      meaning: """
        no attestation report of 1184 bytes, or more than one, is found in the file, or \
        unknown bytes follow it
        """,
      causes: [
        "a file that is not a report, or was cut",
        "an answer of the firmware that is a status and no report",
        "bytes after a report that are neither zero nor of a certificate table",
        "JSON with two reports or a key twice",
      ],
      remedy: "give the report as it was got; the message says what the file looks like"),
    CodeRow(
      .reportVersion, .structures("1"),
      meaning: "the attestation report is of a version other than 2 to 5",
      causes: ["a newer firmware", "damage in the first four bytes"],
      remedy:
        "a newer firmware needs newer tools; svsm-mig-attest show shows what they know of it"),
    CodeRow(
      .reportReserved, .structures("1"),
      meaning: """
        a reserved byte of the report or of the response it came in, a byte of a TCB version \
        that the product does not use, or a reserved bit of KEY_INFO, is set
        """,
      causes: [
        "damage", "a field that newer firmware fills in", "a second encoding of one report",
      ],
      remedy: "get the report again; a newer firmware needs newer tools"),
    CodeRow(
      .reportPolicy, .structures("1.2"),
      meaning: """
        the guest's policy has bit 17 clear or a reserved bit set, or is less strict than is \
        demanded or than that of the guest to be handed over
        """,
      causes: [
        """
        the destination was launched with SMT, CXL or another permission that the source's guest \
        does not have, or without a demand that it has
        """,
        "damage in the policy",
        "a report that no firmware made",
      ],
      remedy: "launch the destination under a policy that is at least as strict as the source's"),
    CodeRow(
      .reportDebug, .structures("1.1"), meaning: "the guest's policy lets the host debug it",
      causes: [
        "the guest was launched with debugging allowed",
        "a host that wants to read the peer's memory",
      ],
      remedy: "launch the guest without debugging"),
    CodeRow(
      .reportMigrationAgent, .structures("1.1"), meaning: "firmware may migrate the guest",
      causes: [
        "the guest was launched with a migration agent",
        "a host that wants firmware to move the peer",
      ],
      remedy: "launch it without a migration agent"),
    CodeRow(
      .reportVMPL, .structures("1.1"),
      meaning: "the report was requested at another VMPL than the SVSM's, or not by a guest",
      causes: [
        "a guest OS asked for the report, and speaks for the SVSM",
        "a guest without an SVSM",
        "the host asked firmware for a report of the guest, and chose its REPORT_DATA",
      ],
      remedy: "only VMPL 0 speaks for the SVSM; get a report that the guest itself asked for"),
    CodeRow(
      .reportSigningKey, .structures("1.3"),
      meaning: """
        not signed, signed by an unknown kind of key, or by a VLEK where none, or none of this \
        provider, is accepted
        """,
      causes: ["the provider loads a VLEK", "reports are masked on that machine"],
      remedy: "name the provider in a policy, or get a report signed by the chip"),
    CodeRow(
      .reportAlgorithm, .structures("1.1"),
      meaning: "signature algorithm other than ECDSA P-384 with SHA-384",
      causes: ["damage in the algorithm field", "a newer firmware"],
      remedy: "only this algorithm is supported"),
    CodeRow(
      .reportSignature, .structures("1.1"),
      meaning: "the signature is out of range or not by the certificate's key",
      causes: [
        "damage anywhere in the signed part",
        "a forged report",
        "firmware that signs with the key of CURRENT_TCB: the certificate for that TCB shows it",
      ],
      remedy: """
        get the report again; where only the certificate for CURRENT_TCB fits, update the \
        firmware
        """),
    CodeRow(
      .reportData, .migrationData("2"), meaning: "REPORT_DATA differs from the demanded value",
      causes: [
        "a genuine report of another session or key: a replay",
        "the session or the offer was changed after its report was made",
      ],
      remedy: """
        use report and session (or offer) that were made together; if they were, somebody replays a \
        report
        """),
    CodeRow(
      .reportTCB, .structures("2"),
      meaning: """
        the certificate is for another TCB, TCB versions contradict each other or are below \
        those demanded, or firmware is not committed where that is demanded
        """,
      causes: [
        "firmware was updated since the certificate was fetched",
        "firmware was rolled back, or never updated to what a policy demands",
        "the certificate of another TCB, as of CURRENT_TCB in place of REPORTED_TCB",
      ],
      remedy: """
        get the certificate for REPORTED_TCB (svsm-mig-attest show prints its address); update \
        and commit the firmware, and launch the guest anew
        """),
    CodeRow(
      .reportChip, .structures("1.1"),
      meaning: """
        report and certificate name different chips, the report names none, or one that is not \
        accepted
        """,
      causes: [
        "the certificate of another machine",
        "CHIP_ID is masked on that machine",
        "a machine that the policy does not list",
      ],
      remedy: """
        get this chip's certificate (svsm-mig-attest show prints its address), or list the chip \
        in the policy
        """),
    CodeRow(
      .reportProduct, .structures("1.5"),
      meaning: "report, certificate and root are of different products, or of an unknown one",
      causes: [
        "certificates of another processor line",
        "a processor that is newer than this table",
        "a report of version 2 from a processor that is newer than that version",
      ],
      remedy: "use the right chain; of a Turin or later get a report of version 3 or above"),
    CodeRow(
      .reportMeasurement, .policy("2"), meaning: "MEASUREMENT is not an accepted one",
      causes: [
        "another version of the SVSM's image, or of its launch parameters, than the policy names",
        "another guest than the intended one",
      ],
      remedy: """
        compute the measurement of the intended image, and compare; to accept it, name it in \
        the policy
        """),
    CodeRow(
      .reportIdentity, .policy("2"),
      meaning: """
        GUEST_SVN is too low, or FAMILY_ID, IMAGE_ID, HOST_DATA, or the digest of the ID or \
        author key, differs from the demanded value
        """,
      causes: [
        "the guest was launched with another ID block, or with none",
        "an image that was replaced since: its security version was raised",
        "an ID block that is signed by another key",
      ],
      remedy: """
        look at the fields with svsm-mig-attest show; launch the guest with the ID block that \
        the policy demands
        """),
    CodeRow(
      .reportPlatform, .policy("2"),
      meaning: """
        PLATFORM_INFO lacks what is demanded or has what is forbidden, firmware is too old, or \
        mitigations are missing
        """,
      causes: [
        "SMT, TSME or RAPL are set in the BIOS otherwise than the policy wants",
        "firmware that was not updated, or not committed",
        "a report before version 5, which has no mitigation vectors",
      ],
      remedy: """
        set up and update the platform, or take another; the message names the bits or the \
        version
        """),
    CodeRow(
      .policySyntax, .policy("1"), meaning: "the policy is not in the form of policy.md",
      causes: [
        "a misspelt key: unknown keys are not ignored",
        "a value of another type or length, an array without an element",
        "a policy of a newer version",
      ],
      remedy: "the message names the place as a JSON pointer; policy.md lists every key"),
    CodeRow(
      .certificateSyntax, .structures("1.7"),
      meaning: """
        not a well-formed certificate, revocation list, PEM text or private key, or JSON that \
        has a key twice
        """,
      causes: [
        "a server's answer kept as a certificate: not found, too many requests",
        "another container, such as PKCS #7, or another encoding, such as UTF-16",
        "damage in the encoding",
      ],
      remedy: """
        give X.509 in DER or PEM, or the certificate table; the message says what the file looks \
        like
        """),
    CodeRow(
      .certificateMissing, .structures("1.1"), in: [.revocationList: .structures("1.9")],
      meaning: """
        the certificate of the key that signed the report, or its issuer, is neither supplied \
        nor known; or no revocation list is that of the chain's root
        """,
      causes: [
        "the host gave no certificates, or a table of entries that are not known",
        "only the chip's own was supplied",
        "\(.revocation) with the list of another product",
      ],
      remedy: """
        add it: the message says where AMD's key server has the chip's certificate; the provider \
        has a VLEK's, and the root's certificate says where its list is
        """),
    CodeRow(
      .certificateRoot, .structures("1.1"),
      meaning: "the chain does not end in a trusted root, or brings one that is not trusted",
      causes: [
        "a model's root, or that of a product whose root is not built in, that was not named",
        "a chain of another vendor",
        "a forged chain with a root of its own",
      ],
      remedy: "name the root with \(.trust), if you trust it"),
    CodeRow(
      .certificateChain, .structures("1.1"), in: [.revocationList: .structures("1.9")],
      meaning: "a signature in the chain is wrong, or a link is left out",
      causes: [
        "damage in a certificate",
        "an intermediate of another line",
        "a forged certificate under a genuine name",
      ],
      remedy: "get the chain again from AMD's key server"),
    CodeRow(
      .certificateAlgorithm, .structures("1.1"), in: [.revocationList: .structures("1.9")],
      meaning: """
        a key or signature of another kind than AMD's, or one that the signed part names \
        otherwise
        """,
      causes: [
        "a chain that was made with default settings of some tool",
        "a certificate or revocation list that was put together by hand",
      ],
      remedy: "use AMD's own chain, or a faithful model's"),
    CodeRow(
      .certificateName, .structures("1.1"),
      meaning: "a name, version or revocation-list place that does not fit the chain",
      causes: [
        "an intermediate that signs a kind of key it must not",
        "a chain that only looks like AMD's",
      ],
      remedy: "use AMD's own chain, or a faithful model's"),
    CodeRow(
      .certificateExtension, .structures("1.1"), in: [.revocationList: .structures("1.9")],
      meaning: """
        an extension that is missing, repeated, unknown, out of range, or does not allow what is \
        done
        """,
      causes: [
        "a certificate that is not a VCEK",
        "an intermediate without the right to sign",
        "a revocation list that is a part of one, or of changes",
        "damage",
      ],
      remedy: "get the certificate, or the whole revocation list, again from AMD's key server"),
    CodeRow(
      .certificateDate, .structures("1.1"), in: [.revocationList: .structures("1.9")],
      meaning:
        "a certificate or revocation list is not valid yet or not any more at the chosen time",
      causes: [
        "the clock is wrong",
        "an old report, looked at today",
        "a revocation list that was kept too long, or is newer than the time chosen with \(.time)",
      ],
      remedy: "name another time with \(.time), if you mean one; get the revocation list anew"),
    CodeRow(
      .certificateRevoked, .structures("1.9"),
      meaning:
        "a revocation list of the chain's root names the root or the issuer of the certificate",
      causes: [
        "AMD has revoked an intermediate whose key is no longer secret",
        "a host that hands out certificates of a revoked authority",
      ],
      remedy: "do not trust the report; get a certificate under the authority that replaces it"),
    CodeRow(
      .certificateTable, .structures("3"),
      meaning: """
        the certificate table is too long, has no end, repeats an entry, its contents lie wrong, \
        or it has bytes of no entry
        """,
      causes: [
        "damage in the table, or a part of it",
        "a table padded beyond 16 KiB",
        "something else put after it",
      ],
      remedy: "get the table whole; if it was, have the host configure its certificates again"),
  ]
}
