import Cryptography
import Errors
import Testing

@Suite struct AEADTests {
  struct Row: Decodable, Sendable, CustomTestStringConvertible {
    let source, algorithm: String
    let key, nonce, aad, pt, ct, tag: HexBytes

    var testDescription: String { source }

    var cipher: AEADAlgorithm {
      get throws {
        try #require(
          [
            "AES-128-GCM": .aes128GCM, "AES-256-GCM": .aes256GCM,
            "ChaCha20-Poly1305": .chacha20Poly1305,
          ][algorithm])
      }
    }
  }

  @Test(arguments: try vectors("aead.json", of: Row.self), AEADEngine.allCases)
  func aPublishedMessageIsSealedAndOpened(row: Row, engine: AEADEngine) throws {
    let nonce = try #require(AEADNonce(row.nonce.bytes))
    var sealer = try AEADSealer(row.cipher, key: row.key.bytes, engine: engine)
    let sealed = try sealer.seal(row.pt.bytes, nonce: nonce, associatedData: row.aad.bytes)
    #expect(sealed.ciphertext == row.ct.bytes)
    #expect(sealed.tag == row.tag.bytes)
    var opener = try AEADOpener(row.cipher, key: row.key.bytes, engine: engine)
    let opened = opener.open(
      row.ct.bytes.span, nonce: nonce, associatedData: row.aad.bytes.span, tag: row.tag.bytes.span)
    #expect(opened == row.pt.bytes)
  }

  /// One sealer and one opener serve many messages: nothing of a message stays for the next, of
  /// a refused one neither.
  @Test(arguments: AEADAlgorithm.allCases, AEADEngine.allCases)
  func messagesUnderOneKeyDoNotInfluenceEachOther(
    algorithm: AEADAlgorithm, engine: AEADEngine
  ) throws {
    let key = Array(repeating: UInt8(3), count: algorithm.keySize)
    var sealer = try AEADSealer(algorithm, key: key, engine: engine)
    var opener = try AEADOpener(algorithm, key: key, engine: engine)
    let shapes = [(0, 0), (5, 0), (0, 5), (33, 7), (0, 0), (16, 16), (1, 1)]
    for (number, (size, extra)) in shapes.enumerated() {
      let nonce = AEADNonce(stream: 9, sequence: UInt64(number))
      let plaintext = [UInt8](repeating: UInt8(number), count: size)
      let data = [UInt8](repeating: 0xA0, count: extra)
      let sealed = try sealer.seal(plaintext, nonce: nonce, associatedData: data)
      var fresh = try AEADSealer(algorithm, key: key, engine: engine)
      let alone = try fresh.seal(plaintext, nonce: nonce, associatedData: data)
      #expect(sealed.ciphertext == alone.ciphertext)
      #expect(sealed.tag == alone.tag)
      let wrong = sealed.tag.map { ~$0 }
      let refused = opener.open(
        sealed.ciphertext.span, nonce: nonce, associatedData: data.span, tag: wrong.span)
      #expect(refused == nil)
      let opened = opener.open(
        sealed.ciphertext.span, nonce: nonce, associatedData: data.span, tag: sealed.tag.span)
      #expect(opened == plaintext)
    }
  }

  @Test(arguments: AEADAlgorithm.allCases, AEADEngine.allCases)
  func everyFlippedBitIsRefusedAndTheOutputWiped(
    algorithm: AEADAlgorithm, engine: AEADEngine
  ) throws {
    let key = (0..<algorithm.keySize).map { UInt8($0) }
    let nonce: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    let data: [UInt8] = [0xA, 0xB, 0xC]
    let plaintext = Array("a short message of 2 blocks".utf8)
    var sealer = try AEADSealer(algorithm, key: key, engine: engine)
    let sealed = try sealer.seal(
      plaintext, nonce: try #require(AEADNonce(nonce)), associatedData: data)
    let parts = [nonce, data, sealed.ciphertext, sealed.tag]
    var opener = try AEADOpener(algorithm, key: key, engine: engine)

    /// The output after opening `parts`, which lie at 2 in it, and whether they were good.
    func open(_ parts: [[UInt8]]) throws -> (isGood: Bool, output: [UInt8]) {
      let nonce = try #require(AEADNonce(parts[0]))
      let (data, ciphertext, tag) = (parts[1], parts[2], parts[3])
      var output = [UInt8](repeating: 0xEE, count: plaintext.count + 4)
      var span = output.mutableSpan
      let isGood = opener.open(
        ciphertext.span, nonce: nonce, associatedData: data.span, tag: tag.span, into: &span, at: 2)
      return (isGood, output)
    }

    let good = try open(parts)
    #expect(good.isGood)
    #expect(good.output == [0xEE, 0xEE] + plaintext + [0xEE, 0xEE])
    let wiped = [0xEE, 0xEE] + [UInt8](repeating: 0, count: plaintext.count) + [0xEE, 0xEE]
    for part in parts.indices {
      for bit in 0..<parts[part].count * 8 {
        var flipped = parts
        flipped[part][bit / 8] ^= 1 << UInt8(bit % 8)
        let result = try open(flipped)
        #expect(!result.isGood, "part \(part), bit \(bit)")
        #expect(result.output == wiped, "part \(part), bit \(bit)")
      }
    }
  }

  @Test("Both libraries make the same ciphertext and tags, of short lengths and around a page's")
  func theEnginesAgree() throws {
    let key = (0..<32).map { UInt8($0 * 7) }
    let data = (0..<4128).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var libcrypto = try AEADSealer(key: key, engine: .libcrypto)
    var libgcrypt = try AEADSealer(key: key, engine: .libgcrypt)
    for count in Array(0...272) + Array(4080...4112) {
      let nonce = AEADNonce(stream: 7, sequence: UInt64(count) << 32)
      let (plaintext, extra) = (Array(data.prefix(count)), Array(data.suffix(count % 65)))
      let one = try libcrypto.seal(plaintext, nonce: nonce, associatedData: extra)
      let other = try libgcrypt.seal(plaintext, nonce: nonce, associatedData: extra)
      #expect(one == other, "\(count) bytes")
      let short = try libcrypto.shortTag(over: plaintext.span, nonce: nonce)
      #expect(try libgcrypt.shortTag(over: plaintext.span, nonce: nonce) == short, "\(count) bytes")
    }
  }

  @Test(arguments: [0, 4, 12, 15, 17, 32])
  func aTagOfAnotherLengthIsRefused(length: Int) throws {
    let key = [UInt8](repeating: 1, count: 32)
    var sealer = try AEADSealer(key: key)
    let sealed = try sealer.seal([1, 2, 3], nonce: AEADNonce(sequence: 1), associatedData: [])
    let tag = Array((sealed.tag + sealed.tag).prefix(length))
    let none: [UInt8] = []
    var opener = try AEADOpener(key: key)
    let opened = opener.open(
      sealed.ciphertext.span, nonce: AEADNonce(sequence: 1), associatedData: none.span,
      tag: tag.span)
    #expect(opened == nil)
  }

  @Test(arguments: AEADAlgorithm.allCases, [-1, 1])
  func aKeyOfAnotherLengthIsRefused(algorithm: AEADAlgorithm, difference: Int) {
    let key = [UInt8](repeating: 1, count: algorithm.keySize + difference)
    let refusal = MigrationError(.cryptography, "key has a wrong length")
    #expect(throws: refusal) { _ = try AEADSealer(algorithm, key: key) }
    #expect(throws: refusal) { _ = try AEADOpener(algorithm, key: key) }
    #expect(throws: refusal) { _ = try AEADSealer(algorithm, key: []) }
  }

  @Test func aNonceIsStreamThenSequence() throws {
    let nonce = try #require(AEADNonce(hex("0102030405060708090a0b0c")))
    #expect(nonce == AEADNonce(stream: 0x0102_0304, sequence: 0x0506_0708_090A_0B0C))
    for count in [0, 11, 13] {
      #expect(AEADNonce([UInt8](repeating: 0, count: count)) == nil)
    }
  }

  /// A record: 3 bytes of associated data, the tag, the ciphertext, 2 bytes of something else.
  @Test func aMessageIsSealedInPlaceInItsRecord() throws {
    let key = [UInt8](repeating: 8, count: 32)
    let plaintext: [UInt8] = [5, 4, 3, 2, 1]
    let nonce = AEADNonce(stream: 1, sequence: 2)
    var sealer = try AEADSealer(key: key)
    var record = [7, 8, 9] + [UInt8](repeating: 0xEE, count: 16 + 5 + 2)
    var span = record.mutableSpan
    try sealer.seal(
      plaintext.span, nonce: nonce, in: &span, associatedData: 0..<3, tag: 3, ciphertext: 19)
    let alone = try sealer.seal(plaintext, nonce: nonce, associatedData: [7, 8, 9])
    #expect(record == [7, 8, 9] + alone.tag + alone.ciphertext + [0xEE, 0xEE])
  }

  @Test(arguments: [
    (data: 0..<41, tag: 0, ciphertext: 16), (data: -1..<3, tag: 0, ciphertext: 16),
    (data: 0..<3, tag: -1, ciphertext: 16), (data: 0..<3, tag: 25, ciphertext: 0),
    (data: 0..<3, tag: Int.max, ciphertext: 0), (data: 0..<3, tag: 0, ciphertext: -1),
    (data: 0..<3, tag: 0, ciphertext: 36), (data: 0..<3, tag: 0, ciphertext: Int.max),
  ])
  func aPlaceOutsideTheRecordIsRefused(data: Range<Int>, tag: Int, ciphertext: Int) throws {
    var sealer = try AEADSealer(key: [UInt8](repeating: 8, count: 32))
    let plaintext: [UInt8] = [5, 4, 3, 2, 1]
    var record = [UInt8](repeating: 0xEE, count: 40)
    var refusal: MigrationError?
    do {
      var span = record.mutableSpan
      try sealer.seal(
        plaintext.span, nonce: AEADNonce(sequence: 0), in: &span, associatedData: data, tag: tag,
        ciphertext: ciphertext)
    } catch {
      refusal = error
    }
    #expect(refusal == MigrationError(.cryptography, "no room for a sealed message"))
    #expect(record == [UInt8](repeating: 0xEE, count: 40))
  }

  @Test(arguments: [-1, 1, 3, Int.max])
  func anOutputWithoutRoomIsRefused(position: Int) throws {
    let key = [UInt8](repeating: 8, count: 32)
    let nonce = AEADNonce(sequence: 0)
    var sealer = try AEADSealer(key: key)
    let sealed = try sealer.seal([1, 2, 3], nonce: nonce, associatedData: [])
    var opener = try AEADOpener(key: key)
    var output = [UInt8](repeating: 0xEE, count: 3)
    let none: [UInt8] = []
    var span = output.mutableSpan
    let isGood = opener.open(
      sealed.ciphertext.span, nonce: nonce, associatedData: none.span, tag: sealed.tag.span,
      into: &span, at: position)
    #expect(!isGood)
    #expect(output == [0xEE, 0xEE, 0xEE])
  }
}
