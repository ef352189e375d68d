package import Errors
internal import Wire

extension AttestationReport {
  /// Refuses contents that no firmware signs, before any certificate is looked at.
  ///
  /// The bytes after the signature and the upper bytes of R and S are not signed. If they were not
  /// refused, one report would have many valid encodings.
  /// - Throws: `REPORT-VERSION`, `REPORT-POLICY`, `REPORT-RESERVED` (with the offset),
  ///   `REPORT-SIGNING-KEY`, `REPORT-ALGORITHM`, `REPORT-SIGNATURE`.
  package func checkForm() throws(MigrationError) {
    try checkVersion()
    try checkPolicyForm()
    try checkReserved()
    try checkSigningKey()
    try checkSignatureForm()
  }

  /// Refuses a version of which not all fields are known.
  /// - Throws: `REPORT-VERSION`.
  package func checkVersion() throws(MigrationError) {
    guard Self.versions.contains(self.version) else {
      throw MigrationError(
        .reportVersion, "version of the attestation report is not known", in: .report,
        at: Self.offset(of: \.version),
        expected: "\(Self.versions.lowerBound) to \(Self.versions.upperBound)",
        got: "\(self.version)")
    }
  }

  /// Refuses a report that was not requested by a guest. Firmware also makes reports for the host
  /// and marks them in VMPL; the host then chose everything in REPORT_DATA.
  /// - Throws: `REPORT-VMPL`.
  package func checkRequester() throws(MigrationError) {
    let requester = fields.requester
    guard requester == .guest else {
      throw MigrationError(
        .reportVMPL,
        requester == .host
          ? "the host requested the report: it is not a guest's"
          : "no guest runs at the report's privilege level", in: .report,
        at: Self.offset(of: \.vmpl),
        expected: "VMPL 0 to 3", got: "VMPL \(Hex.number(self.vmpl))")
    }
  }

  /// Byte ranges that must be zero in a report of `version`.
  static func reservedRanges(version: UInt32) -> [Range<Int>] {
    var ranges = [
      Layout.range(of: \.reserved0), Layout.range(of: \.reserved1), Layout.range(of: \.reserved2),
      Layout.range(of: \.reserved3), Layout.range(of: \.reserved4), Layout.range(of: \.signatureR),
      Layout.range(of: \.signatureS), Layout.range(of: \.reserved5),
    ]
    // Fields of later versions are reserved in earlier ones, and each half of the signature is
    // longer than its number.
    if version < 3 { ranges[1] = Layout.offset(of: \.cpuidFamID)..<ranges[1].upperBound }
    if version < 5 { ranges[4] = Layout.offset(of: \.launchMitVector)..<ranges[4].upperBound }
    for half in 5...6 { ranges[half] = ranges[half].dropFirst(numberSize) }
    return ranges
  }

  func checkPolicyForm() throws(MigrationError) {
    guard self.policy.isWellFormed else {
      throw MigrationError(
        .reportPolicy, "policy has a reserved bit set or bit 17 clear", in: .report,
        at: Self.offset(of: \.policy), expected: "bit 17 set, bits 63:26 clear",
        got: Hex.number(self.policy.rawValue))
    }
  }

  func checkReserved() throws(MigrationError) {
    for offset in Self.reservedRanges(version: self.version).joined() {
      try requireZero("reserved byte", at: offset)
    }
    guard let product = layoutProduct else { return }
    let meant = product.levels.map(\.byte)
    for field in Layout.fields where field.name.hasSuffix("_TCB") {
      for byte in 0..<field.range.count where !meant.contains(byte) {
        try requireZero(
          "byte of \(field.name) that is unused on \(product.rawValue) is not zero",
          at: field.range.lowerBound + byte)
      }
    }
  }

  private func requireZero(_ what: String, at offset: Int) throws(MigrationError) {
    guard bytes[offset] == 0 else {
      throw MigrationError(
        .reportReserved, "\(what) is not zero", in: .report, at: UInt64(offset),
        expected: "0", got: "\(bytes[offset])")
    }
  }

  /// The product whose layout the TCBs of this report have; nil when it is not known. A report of a
  /// version before 3 has no CPU identity: Milan and Genoa cannot be distinguished there but have
  /// one layout, and a report that only Turin can have made is recognised.
  package var layoutProduct: Product? { self.product ?? (self.cpu == nil ? .milan : nil) }

  func checkSigningKey() throws(MigrationError) {
    let info = self.keyInfo
    guard info.hasZeroReserved else {
      throw MigrationError(
        .reportReserved, "KEY_INFO has a reserved bit set", in: .report,
        at: Self.offset(of: \.keyInfo),
        expected: "bits 31:5 clear", got: Hex.number(info.rawValue))
    }
    guard !info.masksChipKey else {
      throw MigrationError(
        .reportSigningKey, "report is not signed: the platform masks its chip key",
        in: .report, at: Self.offset(of: \.keyInfo))
    }
    guard info.signer != nil else {
      throw MigrationError(
        .reportSigningKey,
        info.isUnsigned
          ? "report is not signed: no key was asked for"
          : "report names a key that is not known", in: .report,
        at: Self.offset(of: \.keyInfo), expected: "0 (VCEK) or 1 (VLEK)", got: "\(info.signerCode)")
    }
  }

  func checkSignatureForm() throws(MigrationError) {
    guard self.signatureAlgorithm == 1 else {
      throw MigrationError(
        .reportAlgorithm, "signature algorithm is not known", in: .report,
        at: Self.offset(of: \.signatureAlgo),
        expected: "1 (ECDSA P-384 with SHA-384)", got: "\(self.signatureAlgorithm)")
    }
    for (number, offset) in [
      (signatureR, Self.offset(of: \.signatureR)),
      (signatureS, Self.offset(of: \.signatureS)),
    ] {
      guard number.contains(where: { $0 != 0 }), number.lexicographicallyPrecedes(Self.order)
      else {
        throw MigrationError(
          .reportSignature, "signature number is out of range", in: .report,
          at: offset, expected: "1 to the order of P-384 less one")
      }
    }
  }

  /// The order of P-384's base point (FIPS 186-4, D.1.2.4), most significant byte first.
  private static let order: [UInt8] =
    [UInt8](repeating: 0xFF, count: 24) + [
      0xC7, 0x63, 0x4D, 0x81, 0xF4, 0x37, 0x2D, 0xDF, 0x58, 0x1A, 0x0D, 0xB2, 0x48, 0xB0, 0xA7,
      0x7A, 0xEC, 0xEC, 0x19, 0x6A, 0xCC, 0xC5, 0x29, 0x73,
    ]
}
