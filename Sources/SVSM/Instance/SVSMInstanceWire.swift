internal import Cryptography
package import Errors
internal import SEVSNP
package import Wire

extension SVSMInstance {
  /// The fixed part of an instance file, big-endian; the offer follows, then the hidden path, then
  /// SHA-256 of all before.
  ///
  ///     offset  size  field
  ///          0     8  magic            "SVSMINST"
  ///          8     2  version          2
  ///         10     2  reserved         zero
  ///         12     4  stage            0 ready, 1 exported, 2 imported, 3 restoring, 4 aborted, 5 resumed
  ///         16     8  sev_features     SEV_FEATURES every vCPU must have
  ///         24    48  private_key      P-384 scalar
  ///         72    48  endorsement_key  P-384 scalar of the model's VCEK
  ///        120    32  vmpck0           keys of this guest context's secrets page
  ///        152    32  vmpck1
  ///        184    32  vmpck2
  ///        216    32  vmpck3
  ///        248    48  session          SHA-384 of the transfer data it served; zero when it did none
  ///        296    48  peer_offer       exported: SHA-384 of the destination's offer
  ///        344    97  peer_key         exported, resumed: the destination's public key
  ///        441     3  reserved_2       zero
  ///        444     4  peer_flags       exported: flags of the destination's offer
  ///        448     8  hidden_inode     restoring: number of the file or folder
  ///        456     8  hidden_birth     restoring: when it was made, nanoseconds since 1970, or 0
  ///        464     4  hidden_length    restoring: bytes of the path, or 0
  ///        468     4  offer_length     bytes of the offer
  package static let layout = RecordLayout(
    "instance",
    [
      "magic": 8, "version": 2, "reserved": 2, "stage": 4, "sev_features": 8, "private_key": 48,
      "endorsement_key": 48, "vmpck0": 32, "vmpck1": 32, "vmpck2": 32, "vmpck3": 32,
      "session": 48, "peer_offer": 48, "peer_key": 97, "reserved_2": 3, "peer_flags": 4,
      "hidden_inode": 8, "hidden_birth": 8, "hidden_length": 4, "offer_length": 4,
    ])

  static let magic = Array("SVSMINST".utf8)
  static let version: UInt16 = 2
  /// Bytes an instance file may have.
  package static let maximumSize =
    layout.size + MigrationData.maximumSize + UnnamedGuest.maximumPath + SHA256.size

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
    guard try cursor.takeArray(8) == Self.magic else {
      throw MigrationError(.instanceSyntax, "not an instance file", at: 0, expected: "SVSMINST")
    }
    let version = try cursor.read(UInt16.self)
    let reserved = try cursor.read(UInt16.self)
    let stageCode = try cursor.read(UInt32.self)
    guard version == Self.version, reserved == 0, let stage = Stage(rawValue: stageCode) else {
      throw MigrationError(
        .instanceSyntax, "unknown version or stage", at: 8, got: "\(version), \(stageCode)")
    }
    features = SEVFeatures(rawValue: try cursor.read())
    key = try P384.PrivateKey(cursor.takeArray(48))
    endorsementKey = try P384.PrivateKey(cursor.takeArray(48))
    var keys: [SecretBytes] = []
    for _ in 0..<4 { keys.append(SecretBytes(try cursor.takeArray(32))) }
    vmpcks = keys
    let (session, peerOffer, peerKey) = (
      try cursor.takeArray(48), try cursor.takeArray(48), try cursor.takeArray(97)
    )
    _ = try cursor.take(3)
    let peerFlags = ProtocolFlags(rawValue: try cursor.read())
    let inode = try cursor.read(UInt64.self)
    let birth = try cursor.read(UInt64.self)
    let hiddenLength = try cursor.read(UInt32.self)
    let offerLength = try cursor.read(UInt32.self)
    guard offerLength <= MigrationData.maximumSize, hiddenLength <= UnnamedGuest.maximumPath else {
      throw MigrationError(.instanceSyntax, "impossible lengths of path and offer", at: 464)
    }
    offer = try MigrationData(cursor.takeArray(Int(offerLength)))
    let path = try cursor.takeArray(Int(hiddenLength))
    let body = span.extracting(first: Int(cursor.offset))
    guard cursor.remaining == SHA256.size, try cursor.takeArray(SHA256.size) == SHA256.hash(body)
    else {
      throw MigrationError(
        .instanceSyntax, "checksum is wrong", at: UInt64(body.count))
    }
    guard offer.publicKey == key.publicKey.bytes else {
      throw MigrationError(
        .instanceSyntax, "offer is for another key", at: UInt64(Self.layout.size))
    }
    switch stage {
    case .ready: state = .ready
    case .exported:
      state = .exported(
        session: session,
        peer: Peer(offerDigest: peerOffer, publicKey: peerKey, flags: peerFlags))
    case .imported: state = .imported(session: session)
    case .restoring:
      state = .restoring(
        session: session,
        unnamed: path.isEmpty ? nil : UnnamedGuest(path: path, inode: inode, birth: birth))
    case .aborted: state = .aborted
    case .resumed: state = .resumed(giver: peerKey)
    }
    // A stage has its own fields only: any other is not zero where it must be.
    guard try encoded() == bytes, path.first ?? UInt8(ascii: "/") == UInt8(ascii: "/"),
      !path.contains(0)
    else {
      throw MigrationError(
        .instanceSyntax, "fields do not fit the stage", at: 248, got: "\(stage)")
    }
  }

  /// The instance file's bytes: private keys in clear.
  package func encoded() throws(MigrationError) -> [UInt8] {
    var peer = Peer(
      offerDigest: [UInt8](repeating: 0, count: 48), publicKey: [UInt8](repeating: 0, count: 97),
      flags: [])
    var hidden = UnnamedGuest(path: [], inode: 0, birth: 0)
    switch state {
    case .exported(_, let destination): peer = destination
    case .resumed(let giver): peer.publicKey = giver
    case .restoring(_, let guest?): hidden = guest
    case .ready, .restoring, .imported, .aborted: break
    }
    var bytes = Self.magic
    bytes.append(bigEndian: Self.version)
    bytes.append(bigEndian: UInt16(0))
    bytes.append(bigEndian: stage.rawValue)
    bytes.append(bigEndian: features.rawValue)
    bytes += key.scalar
    bytes += endorsementKey.scalar
    for key in vmpcks { bytes += key.bytes }
    bytes += state.session ?? [UInt8](repeating: 0, count: 48)
    bytes += peer.offerDigest + peer.publicKey + [0, 0, 0]
    bytes.append(bigEndian: peer.flags.rawValue)
    bytes.append(bigEndian: hidden.inode)
    bytes.append(bigEndian: hidden.birth)
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: hidden.path.count))
    bytes.append(bigEndian: UInt32(truncatingIfNeeded: offer.encoded.count))
    bytes += offer.encoded + hidden.path
    return try bytes + SHA256.hash(bytes)
  }
}
