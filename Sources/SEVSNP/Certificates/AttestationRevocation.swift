internal import Cryptography
internal import Errors
internal import Wire

extension AttestationVerifier {

  /// Checks the authorities of a chain against the revocation lists of its root. AMD's root lists
  /// the certificates that it has issued and revoked; the chip's own certificate is on no list.
  func checkRevocation(_ chain: AttestationChain, _ ledger: inout AttestationLedger) {
    guard !revocationLists.isEmpty else {
      return ledger.notAsked(.revocation, "no revocation list is given")
    }
    guard let leaf = chain.leaf, let issuer = chain.issuer, let root = chain.anchor?.root else {
      return
    }
    let time = self.time.seconds(issuing: leaf)
    ledger.check(.revocation) { () throws(MigrationError) in
      let own = revocationLists.filter { $0.issuer == root.subject }
      guard !own.isEmpty else {
        throw MigrationError(
          .certificateMissing, "no revocation list is that of the chain's root",
          in: .revocationList, expected: "a list of \(root.subject)",
          got: revocationLists.map { "\($0.issuer)" }.joined(separator: "; "))
      }
      for list in own {
        try Self.require(list, by: root, at: time)
        for certificate in [root, issuer] where list.names(certificate) {
          throw MigrationError(
            .certificateRevoked,
            "\(certificate.subject.commonName ?? "an authority") is revoked",
            in: .revocationList,
            got: "serial number \(Hex.encode(certificate.serialNumber ?? []))")
        }
      }
    }
  }

  /// Refuses a list that is not the root's valid list at `time` of everything that it has issued.
  private static func require(
    _ list: X509RevocationList, by root: X509Certificate, at time: Int64
  ) throws(MigrationError) {
    guard try root.maySignRevocationLists() else {
      throw MigrationError(
        .certificateExtension, "the root may not sign revocation lists", in: .revocationList,
        expected: "keyUsage cRLSign")
    }
    guard list.signatureAlgorithm == .rsaPSSSHA384 else {
      throw MigrationError(
        .certificateAlgorithm, "revocation list is signed in another way than AMD's",
        in: .revocationList, expected: "\(X509SignatureAlgorithm.rsaPSSSHA384)",
        got: "\(list.signatureAlgorithm)")
    }
    guard list.namesOneAlgorithm else {
      throw MigrationError(
        .certificateAlgorithm,
        "revocation list names another signature algorithm inside than outside", in: .revocationList
      )
    }
    guard list.isSigned(by: root) else {
      throw MigrationError(
        .certificateChain, "signature on the revocation list is not the root's",
        in: .revocationList,
        expected: "a signature of \(root.subject.commonName ?? "?")")
    }
    // An extension may restrict a list to fewer certificates, or to those of other issuers.
    if let unfit = list.unfitExtension {
      throw MigrationError(
        .certificateExtension, unfit.what, in: .revocationList, got: "extension \(unfit.identifier)"
      )
    }
    guard list.thisUpdate <= time, time <= list.nextUpdate else {
      throw MigrationError(
        .certificateDate,
        time < list.thisUpdate
          ? "revocation list is not in force yet" : "revocation list has been replaced by a newer",
        in: .revocationList,
        expected: "\(CivilDate.text(list.thisUpdate)) to \(CivilDate.text(list.nextUpdate))",
        got: CivilDate.text(time))
    }
  }
}
