import Cryptography
import Errors
import Testing

@Suite struct HPKETests {
  struct Row: Decodable, Sendable, CustomTestStringConvertible {
    struct Message: Decodable, Sendable {
      let aad, pt, ct: HexBytes
    }
    struct Export: Decodable, Sendable {
      let context: HexBytes
      let count: Int
      let value: HexBytes

      private enum CodingKeys: String, CodingKey {
        case context = "exporter_context"
        case count = "L"
        case value = "exported_value"
      }
    }

    let kem, kdf, aead: Int
    let info: HexBytes
    /// Keying material of the recipient's and of the ephemeral key; only the RFC's rows have it.
    let ikmR, ikmE: HexBytes?
    let skRm, pkRm, enc: HexBytes
    let encryptions: [Message]
    let exports: [Export]

    private enum CodingKeys: String, CodingKey {
      case kem = "kem_id"
      case kdf = "kdf_id"
      case aead = "aead_id"
      case info, ikmR, ikmE, skRm, pkRm, enc, encryptions, exports
    }

    var testDescription: String { "KEM \(kem), KDF \(kdf), AEAD \(aead)" }

    /// The suite of the row's identifiers (RFC 9180 section 7).
    var suite: HPKE {
      get throws {
        let kems = [0x10: DHKEM.p256, 0x11: .p384, 0x12: .p521, 0x20: .x25519]
        return HPKE(
          kem: try #require(kems[kem]),
          kdf: try #require([1: DigestAlgorithm.sha256, 2: .sha384, 3: .sha512][kdf]),
          aead: try #require(
            [1: AEADAlgorithm.aes128GCM, 2: .aes256GCM, 3: .chacha20Poly1305][aead]))
      }
    }
  }

  @Test(arguments: try vectors("hpke-rfc9180-base.json", of: Row.self))
  func theSenderOfAPublishedExchangeIsReproduced(row: Row) throws {
    let suite = try row.suite
    let ephemeral = try #require(row.ikmE)
    let recipient = try suite.kem.deriveKeyPair(try #require(row.ikmR).bytes)
    #expect(recipient.secret == row.skRm.bytes)
    #expect(recipient.point == row.pkRm.bytes)
    let sender = try suite.sender(
      to: row.pkRm.bytes, info: row.info.bytes, ephemeral: ephemeral.bytes)
    #expect(sender.encapsulatedKey == row.enc.bytes)
    var context = sender.context
    for message in row.encryptions {
      let sealed = try context.seal(message.pt.bytes, associatedData: message.aad.bytes)
      #expect(sealed == message.ct.bytes)
    }
    try expectExports(of: context, row)
  }

  /// `hpke-p384-swift-crypto.json` was sealed by another implementation: the RFC has no vectors of
  /// the suite of migrations.
  @Test(
    arguments: try vectors("hpke-rfc9180-base.json", of: Row.self)
      + vectors("hpke-p384-swift-crypto.json"))
  func thePublishedMessagesAreOpened(row: Row) throws {
    var context = try #require(try receiver(row))
    for message in row.encryptions {
      let opened = try context.open(message.ct.bytes, associatedData: message.aad.bytes)
      #expect(opened == message.pt.bytes)
    }
    try expectExports(of: context, row)
  }

  @Test func theSuiteOfMigrationsIsTheOneTheOtherImplementationUsed() throws {
    let row = try otherImplementation()
    #expect(try row.suite == .migration)
  }

  @Test func aMessageThatFailsIsStillDue() throws {
    let row = try otherImplementation()
    var context = try #require(try receiver(row))
    let (first, second) = (row.encryptions[0], row.encryptions[1])
    let early = try context.open(second.ct.bytes, associatedData: second.aad.bytes)
    #expect(early == nil)
    let short = try context.open(Array(first.ct.bytes.dropLast()), associatedData: [])
    #expect(short == nil)
    let empty = try context.open([], associatedData: [])
    #expect(empty == nil)
    let due = try context.open(first.ct.bytes, associatedData: first.aad.bytes)
    #expect(due == first.pt.bytes)
    let repeated = try context.open(first.ct.bytes, associatedData: first.aad.bytes)
    #expect(repeated == nil)
    let next = try context.open(second.ct.bytes, associatedData: second.aad.bytes)
    #expect(next == second.pt.bytes)
  }

  @Test func aMessageForAnotherInfoOrKeyIsRefused() throws {
    let row = try otherImplementation()
    let message = row.encryptions[0]
    let other = try P384.PrivateKey(deriving: [UInt8](repeating: 1, count: 48))
    let contexts = [
      try HPKE.migration.receiver(
        of: row.enc.bytes, secret: row.skRm.bytes, point: row.pkRm.bytes,
        info: row.info.bytes + [0]),
      try HPKE.migration.receiver(
        of: row.enc.bytes, secret: other.scalar, point: other.publicKey.bytes,
        info: row.info.bytes),
      try HPKE.migration.receiver(
        of: other.publicKey.bytes, secret: row.skRm.bytes, point: row.pkRm.bytes,
        info: row.info.bytes),
    ]
    for context in contexts {
      var context = try #require(context)
      let opened = try context.open(message.ct.bytes, associatedData: message.aad.bytes)
      #expect(opened == nil)
    }
  }

  @Test(arguments: notPublicKeys)
  func aWrongEncapsulatedKeyGivesNoContext(point: [UInt8]) throws {
    let row = try otherImplementation()
    let context = try HPKE.migration.receiver(
      of: point, secret: row.skRm.bytes, point: row.pkRm.bytes, info: [])
    #expect(context == nil)
  }

  @Test(arguments: notPublicKeys)
  func aWrongRecipientIsRefused(point: [UInt8]) {
    let error = #expect(throws: MigrationError.self) {
      try HPKE.migration.sender(to: point, info: [], ephemeral: [UInt8](repeating: 1, count: 48))
    }
    #expect(error?.code == .offerKey)
  }

  /// RFC 7748 section 6.1: a point of small order gives an all-zero secret.
  @Test(arguments: [0, 1])
  func aSmallOrderPointOfX25519IsRefused(first: UInt8) throws {
    let point = [first] + [UInt8](repeating: 0, count: 31)
    let secret = [UInt8](repeating: 0x40, count: 32)
    #expect(try DHKEM.x25519.agree(secret, with: point) == nil)
    #expect(try DHKEM.x25519.agree(secret, with: Array(point.dropLast())) == nil)
  }

  @Test func whatWasSealedIsOpened() throws {
    let key = try P384.PrivateKey(deriving: [UInt8](repeating: 5, count: 48))
    let (context, encapsulatedKey) = try HPKE.migration.sender(
      to: key.publicKey.bytes, info: [1], ephemeral: [UInt8](repeating: 6, count: 48))
    var sender = context
    var receiver = try #require(
      try HPKE.migration.receiver(
        of: encapsulatedKey, secret: key.scalar, point: key.publicKey.bytes, info: [1]))
    // More than 255 messages: the second byte of the sequence number counts too.
    for number in 0..<258 {
      let sealed = try sender.seal([UInt8(number & 0xFF)], associatedData: [2])
      let opened = try receiver.open(sealed, associatedData: [2])
      #expect(opened == [UInt8(number & 0xFF)])
    }
    #expect(try sender.export([3], count: 32) == receiver.export([3], count: 32))
    #expect(try sender.export([3], count: 32) != receiver.export([4], count: 32))
  }

  @Test func aContextShowsNoSecret() throws {
    let row = try otherImplementation()
    let context = try #require(try receiver(row))
    var text = ""
    dump(context, to: &text)
    #expect(text.contains("key: secret"))
    #expect(text.contains("exporter: secret"))
  }

  static let notPublicKeys: [[UInt8]] = [
    [], [0], [4], [UInt8](repeating: 0, count: 97), [4] + [UInt8](repeating: 0, count: 96),
    [4] + [UInt8](repeating: 0xFF, count: 96), [4] + [UInt8](repeating: 1, count: 96),
  ]

  private func otherImplementation() throws -> Row {
    try #require(try vectors("hpke-p384-swift-crypto.json", of: Row.self).first)
  }

  private func receiver(_ row: Row) throws -> HPKEContext? {
    try row.suite.receiver(
      of: row.enc.bytes, secret: row.skRm.bytes, point: row.pkRm.bytes, info: row.info.bytes)
  }

  private func expectExports(of context: HPKEContext, _ row: Row) throws {
    for export in row.exports {
      #expect(
        try context.export(export.context.bytes, count: export.count)
          == export.value.bytes)
    }
  }
}

@Suite struct DHKEMTests {
  struct KeyRow: Decodable, Sendable {
    let ikm, sk, pk: HexBytes
  }

  @Test(arguments: try vectors("derive-key-pair-p384.json", of: KeyRow.self))
  func keyingMaterialGivesItsKeyPair(row: KeyRow) throws {
    let pair = try DHKEM.p384.deriveKeyPair(row.ikm.bytes)
    #expect(pair.secret == row.sk.bytes)
    #expect(pair.point == row.pk.bytes)
    let key = try P384.PrivateKey(deriving: row.ikm.bytes)
    #expect(key.scalar == row.sk.bytes)
    #expect(key.publicKey.bytes == row.pk.bytes)
  }

  struct AgreementRow: Decodable, Sendable {
    let source: String
    let secret, point, shared: HexBytes
  }

  @Test(arguments: try vectors("ecdh-p384.json", of: AgreementRow.self))
  func aKeyAndAPointGiveTheirSharedSecret(row: AgreementRow) throws {
    #expect(try DHKEM.p384.agree(row.secret.bytes, with: row.point.bytes) == row.shared.bytes)
  }
}
