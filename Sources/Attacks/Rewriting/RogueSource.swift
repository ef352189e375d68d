internal import Cryptography
internal import Errors
internal import SEVSNP
internal import SVSM
internal import Wire

/// A lying source: an SVSM of the model with a session of its own with the destination, in which it
/// can state anything with good tags, a good transcript and a good seal.
///
/// It opens the records of another session with the destination's keys and seals them again. It can
/// only run on the model platform, whose keys are public: it shows what a destination refuses from
/// a source whose proof it accepts, and it gives no power over a real guest.
struct RogueSource: Sendable {
  let transferData: TransferData
  let keys: SessionKeys
  private let instance: SVSMInstance
  /// For each input, the keys of its records.
  let inputKeys: [SessionKeys]

  /// - Parameters:
  ///   - destination: opens the inputs' sessions, and is the destination of the new session.
  ///   - sessions: the transfer data of each input.
  ///   - isMutual: whether the source shows a report.
  ///   - seed: the source of all its keys.
  ///   - editReport: changes the report's signed bytes before the model's chip signs them.
  /// - Throws: `ATTACK-NEEDS` when the inputs are not for `destination`.
  init(
    for destination: SVSMInstance, sessions: [TransferData], isMutual: Bool, seed: [UInt8],
    editReport: ([UInt8]) throws(MigrationError) -> [UInt8]
  ) throws(MigrationError) {
    let platform = try Platform.model(chip: 1)
    let random = RandomSource.seeded(seed + Array("rogue source".utf8))
    instance = try SVSMInstance(on: platform, features: destination.features, random: random)
    var opened: [SessionKeys] = []
    for session in sessions { opened.append(try Self.open(session, with: destination)) }
    inputKeys = opened

    let flags: ProtocolFlags = isMutual ? [.mutual, .seeded] : .seeded
    let digest = try destination.offer.digest()
    let transportKey = try random.bytes(32, for: "transport key")
    var wrap = try HPKE.migration.sender(
      to: destination.offer.publicKey,
      info: Label.transportKey + TransferData.wrapInfo(flags: flags, offerDigest: digest),
      ephemeral: random.bytes(48, for: "transport key encapsulation"))
    let bound = TransferData.bound(
      flags: flags, offerDigest: digest, encapsulatedKey: wrap.encapsulatedKey,
      wrappedKey: try wrap.context.seal(transportKey, associatedData: []),
      sourceKey: try instance.publicKey())
    var report: [UInt8] = []
    if isMutual {
      let honest = try instance.report(over: SHA512.hash(Label.sourceReport + bound))
      report = try Self.sign(editReport(honest), by: platform)
    }
    transferData = try TransferData(
      bound: bound, report: report,
      certificates: isMutual ? platform.certificateTable.bytes() : [])
    keys = try SessionKeys(transportKey: transportKey, transferData: transferData.encoded)
  }

  /// The report, signed by a model chip whatever its signed bytes state.
  static func sign(_ report: [UInt8], by platform: Platform) throws(MigrationError) -> [UInt8] {
    let signed = Array(report.prefix(AttestationReport.signedSize))
    let signature = try platform.endorsementKey.sign(message: signed)
    return AttestationReport.bytes(report, signature.r, signature.s)
  }

  private static func open(
    _ session: TransferData, with destination: SVSMInstance
  ) throws(MigrationError) -> SessionKeys {
    let info =
      Label.transportKey
      + TransferData.wrapInfo(flags: session.flags, offerDigest: session.offerDigest)
    guard
      let key = try destination.unwrap(
        session.wrappedKey, encapsulatedKey: session.encapsulatedKey, info: info)
    else {
      throw MigrationError(
        .attackNeeds, "the stream is not for this instance", in: .session,
        expected: "the instance whose offer the source got")
    }
    return try SessionKeys(transportKey: key, transferData: session.encoded)
  }

  /// The content of a page that the source of an input sealed.
  /// - Throws: `ATTACK-NEEDS` when it does not authenticate.
  func openPage(
    _ part: Anatomy.Part, of source: Materials.Input, input: Int
  ) throws(MigrationError) -> [UInt8] {
    let record = try source.store.read(
      part.body..<part.body + UInt64(PageMetadata.recordSize))
    var opener = try inputKeys[input].pageOpener()
    return try open(
      record, sequence: PageMetadata.Layout.range(of: \.metadata.sequence),
      tag: PageMetadata.Layout.range(of: \.tag), with: &opener, at: part.body)
  }

  /// The plaintext of a final record.
  /// - Throws: `ATTACK-NEEDS` when it does not authenticate.
  func openFinal(
    _ part: Anatomy.Part, of source: Materials.Input, input: Int
  ) throws(MigrationError) -> [UInt8] {
    let record = try source.store.read(part.body..<part.body + part.bodySize)
    var opener = try inputKeys[input].finalOpener()
    return try open(
      record, sequence: FinalRecord.Layout.range(of: \.sequence),
      tag: FinalRecord.Layout.range(of: \.tag), with: &opener, at: part.body)
  }

  private func open(
    _ record: [UInt8], sequence: Range<Int>, tag: Range<Int>,
    with opener: inout AEADOpener, at offset: UInt64
  ) throws(MigrationError) -> [UInt8] {
    let span = record.span
    guard
      let plaintext = opener.open(
        span.extracting(droppingFirst: tag.upperBound),
        nonce: AEADNonce(sequence: UInt64(bigEndianBytes: record[sequence])),
        associatedData: span.extracting(first: tag.lowerBound), tag: span.extracting(tag))
    else {
      throw MigrationError(
        .attackNeeds, "a record of the stream does not authenticate", at: offset,
        expected: "a stream that is whole")
    }
    return plaintext
  }

  /// Signs a seal. Returns r and s, 48 bytes each.
  func sign(_ seal: Seal) throws(MigrationError) -> [UInt8] {
    try instance.sign(seal, as: .snp)
  }
}
