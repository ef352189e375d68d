internal import Cryptography
package import Errors
internal import SEVSNP
package import Wire

extension SVSMInstance {
  /// The fixed part of an instance file. The offer follows, then the place of an unnamed guest,
  /// then SHA-256 of all bytes before.
  package struct Layout: WireRecord {
    package static let name = "instance"

    /// "SVSMINST".
    package var magic: WireBytes<8>
    /// 2.
    package var version: BE16
    /// Zero.
    package var reserved: BE16
    /// The stage, as `Stage` numbers it.
    package var stage: BE32
    /// SEV_FEATURES every vCPU must have.
    package var sevFeatures: BE64
    /// P-384 scalar.
    package var privateKey: WireBytes<48>
    /// P-384 scalar of the model's VCEK.
    package var endorsementKey: WireBytes<48>
    /// Keys of this guest context's secrets page.
    package var vmpck0: WireBytes<32>
    package var vmpck1: WireBytes<32>
    package var vmpck2: WireBytes<32>
    package var vmpck3: WireBytes<32>
    /// SHA-384 of the transfer data of the session it served; zero when it served none.
    package var session: WireBytes<48>
    /// Exported: SHA-384 of the destination's offer.
    package var peerOffer: WireBytes<48>
    /// Exported, resumed: the destination's public key.
    package var peerKey: WireBytes<97>
    /// Zero.
    package var reserved2: WireBytes<3>
    /// Exported: flags of the destination's offer.
    package var peerFlags: BE32
    /// Restoring: identity of the unnamed guest.
    package var hiddenIdentity: WireBytes<16>
    /// Restoring: length in bytes of the unnamed guest's place, or 0.
    package var hiddenLength: BE32
    /// Length of the offer in bytes.
    package var offerLength: BE32
  }

  /// Offset of the stage in an instance file.
  static let stageOffset = Layout.offset(of: \.stage, from: 0)

  static let magic = Array("SVSMINST".utf8)
  static let version: UInt16 = 2
  /// Largest size of an instance file in bytes.
  package static let maximumSize =
    Layout.size + MigrationData.maximumSize + UnnamedGuest.maximumPlace + SHA256.size

  /// Decodes an instance file.
  /// - Throws: `INSTANCE-SYNTAX` with the offset in the file; what `MigrationData` refuses.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    do {
      try self.init(parsing: bytes)
    } catch {
      var error = error.within(.instance)
      if error.code == .streamTruncated { error.code = .instanceSyntax }
      throw error
    }
  }

  private init(parsing bytes: [UInt8]) throws(MigrationError) {
    let span = bytes.span
    var cursor = ByteCursor(span)
    guard bytes.count < Self.magic.count || bytes.starts(with: Self.magic) else {
      throw MigrationError(.instanceSyntax, "not an instance file", at: 0, expected: "SVSMINST")
    }
    let record = try cursor.read(Layout.self)
    let (version, stageCode) = (record.version.value, record.stage.value)
    guard version == Self.version, record.reserved.isZero, let stage = Stage(rawValue: stageCode)
    else {
      throw MigrationError(
        .instanceSyntax, "unknown version or stage", at: Layout.offset(of: \.version, from: 0),
        got: "\(version), \(stageCode)")
    }
    features = SEVFeatures(rawValue: record.sevFeatures.value)
    key = try P384.PrivateKey(record.privateKey.array)
    endorsementKey = try P384.PrivateKey(record.endorsementKey.array)
    vmpcks = [record.vmpck0, record.vmpck1, record.vmpck2, record.vmpck3].map {
      SecretBytes($0.array)
    }
    let (hiddenLength, offerLength) = (
      Int(record.hiddenLength.value), Int(record.offerLength.value)
    )
    guard offerLength <= MigrationData.maximumSize, hiddenLength <= UnnamedGuest.maximumPlace else {
      throw MigrationError(
        .instanceSyntax, "impossible lengths of path and offer",
        at: Layout.offset(of: \.hiddenLength, from: 0))
    }
    offer = try MigrationData(cursor.takeArray(offerLength))
    let place = try cursor.takeArray(hiddenLength)
    let body = span.extracting(first: Int(cursor.offset))
    guard cursor.remaining == SHA256.size, try cursor.takeArray(SHA256.size) == SHA256.hash(body)
    else {
      throw MigrationError(
        .instanceSyntax, "checksum is wrong", at: UInt64(body.count))
    }
    guard offer.publicKey == key.publicKey.bytes else {
      throw MigrationError(
        .instanceSyntax, "offer is for another key", at: UInt64(Layout.size))
    }
    state = State(stage, record, place)
    // A stage uses only its own fields, and the others are zero: else the encoding differs.
    guard try encoded() == bytes else { throw misfit }
  }

  /// The refusal of fields that do not fit the stage.
  package var misfit: MigrationError {
    MigrationError(
      .instanceSyntax, "fields do not fit the stage", in: .instance,
      at: Layout.offset(of: \.session, from: 0), got: "\(stage)")
  }

  /// The bytes of the instance file. They contain private keys in the clear.
  package func encoded() throws(MigrationError) -> [UInt8] {
    var record = Layout()
    record.magic = WireBytes(Self.magic)
    record.version = BE16(Self.version)
    record.stage = BE32(stage.rawValue)
    record.sevFeatures = BE64(features.rawValue)
    record.privateKey = WireBytes(key.scalar)
    record.endorsementKey = WireBytes(endorsementKey.scalar)
    record.vmpck0 = WireBytes(vmpcks[0].bytes)
    record.vmpck1 = WireBytes(vmpcks[1].bytes)
    record.vmpck2 = WireBytes(vmpcks[2].bytes)
    record.vmpck3 = WireBytes(vmpcks[3].bytes)
    if let session = state.session { record.session = WireBytes(session) }
    var place: [UInt8] = []
    switch state {
    case .exported(_, let peer):
      record.peerOffer = WireBytes(peer.offerDigest)
      record.peerKey = WireBytes(peer.publicKey)
      record.peerFlags = BE32(peer.flags.rawValue)
    case .resumed(let giver): record.peerKey = WireBytes(giver)
    case .restoring(_, let guest?):
      place = guest.place
      record.hiddenIdentity = WireBytes(guest.identity)
      record.hiddenLength = BE32(UInt32(truncatingIfNeeded: place.count))
    case .ready, .restoring, .imported, .aborted: break
    }
    record.offerLength = BE32(UInt32(truncatingIfNeeded: offer.encoded.count))
    let bytes = record.bytes + offer.encoded + place
    return try bytes + SHA256.hash(bytes)
  }
}

extension SVSMInstance.State {
  /// The state in an instance file. Only the fields of its stage are read.
  fileprivate init(
    _ stage: SVSMInstance.Stage, _ record: SVSMInstance.Layout, _ place: [UInt8]
  ) {
    let session = record.session.array
    switch stage {
    case .ready: self = .ready
    case .exported:
      let peer = SVSMInstance.Peer(
        offerDigest: record.peerOffer.array, publicKey: record.peerKey.array,
        flags: ProtocolFlags(rawValue: record.peerFlags.value))
      self = .exported(session: session, peer: peer)
    case .imported: self = .imported(session: session)
    case .restoring:
      let guest = SVSMInstance.UnnamedGuest(
        identity: record.hiddenIdentity.array, place: place)
      self = .restoring(session: session, unnamed: place.isEmpty ? nil : guest)
    case .aborted: self = .aborted
    case .resumed: self = .resumed(giver: record.peerKey.array)
    }
  }
}
