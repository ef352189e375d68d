import Bytes
import Cryptography
import Testing

@Suite struct DigestTests {
  @Test(arguments: try vectors("sha2.txt"))
  func publishedDigestsCome(vector: Vector) throws {
    #expect(try vector.digest.hash(vector["message"]) == vector["digest"])
  }

  @Test func aMillionLettersComeInPieces() throws {
    // FIPS 180's third example.
    let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
    var digest = try SHA384()
    for _ in 0..<1000 { try digest.update(piece) }
    let expected =
      "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b"
      + "07b8b3dc38ecc4ebae97ddd87f3d8985"
    #expect(try Hex.encode(digest.finish()) == expected)
  }

  @Test func aHasherServesManyChunks() throws {
    var digest = try SHA256()
    for chunk in 0..<4 {
      let bytes = [UInt8](repeating: UInt8(chunk), count: 100 * chunk)
      try digest.update(bytes.span)
      #expect(try digest.finish() == SHA256.hash(bytes))
    }
  }

  @Test func aSnapshotLeavesTheDigestRunning() throws {
    var digest = try SHA512()
    try digest.update([1, 2, 3])
    #expect(try digest.snapshot() == SHA512.hash([1, 2, 3]))
    try digest.update([4])
    #expect(try digest.snapshot() == SHA512.hash([1, 2, 3, 4]))
    #expect(try digest.finish() == SHA512.hash([1, 2, 3, 4]))
  }

  @Test func resetForgets() throws {
    var digest = try SHA384()
    try digest.update([1, 2, 3])
    try digest.reset()
    try digest.update([4])
    #expect(try digest.finish() == SHA384.hash([4]))
  }

  @Test func aDigestIsWrittenWhereAsked() throws {
    var buffer = [UInt8](repeating: 0xee, count: 40)
    var digest = try SHA256()
    try digest.update([7])
    var output = buffer.mutableSpan
    try digest.finish(into: &output, at: 4)
    let expected: [UInt8] = [0xee, 0xee, 0xee, 0xee] + (try SHA256.hash([7]))
    #expect(buffer == expected + [0xee, 0xee, 0xee, 0xee])
  }

  @Test(arguments: [-1, 1, 32, Int.max])
  func aDigestWithoutRoomIsRefused(offset: Int) throws {
    var buffer = [UInt8](repeating: 0, count: 32)
    var digest = try SHA256()
    var output = buffer.mutableSpan
    var refusal: MigrationError?
    do throws(MigrationError) {
      try digest.finish(into: &output, at: offset)
    } catch {
      refusal = error
    }
    #expect(refusal?.code == .cryptography)
    #expect(buffer == [UInt8](repeating: 0, count: 32))
  }
}

@Suite struct KeyDerivationTests {
  @Test(arguments: try vectors("hmac.txt"))
  func publishedCodesCome(vector: Vector) throws {
    let code = try HMAC.authenticate(
      vector["message"], key: vector["key"], using: vector.digest)
    #expect(try code == vector["code"])
  }

  @Test(arguments: try vectors("hkdf.txt"))
  func publishedKeysCome(vector: Vector) throws {
    let key = try HKDF.extract(vector["ikm"], salt: vector["salt"], using: vector.digest)
    #expect(try key == vector["prk"])
    let output = try HKDF.expand(
      key, info: vector["info"], count: vector["okm"].count, using: vector.digest)
    #expect(try output == vector["okm"])
  }

  @Test func expandGivesAtMost255Digests() throws {
    let key = [UInt8](repeating: 1, count: 48)
    let most = try HKDF.expand(key, info: [], count: 255 * 48, using: .sha384)
    #expect(most.count == 255 * 48)
    #expect(throws: MigrationError.self) {
      try HKDF.expand(key, info: [], count: 255 * 48 + 1, using: .sha384)
    }
    #expect(throws: MigrationError.self) {
      try HKDF.expand(key, info: [], count: -1, using: .sha384)
    }
  }
}

@Suite struct SecretsTests {
  @Test func comparisonFindsEveryDifferentBit() {
    let bytes: [UInt8] = [0, 1, 0x80, 0xff]
    #expect(equalInConstantTime(bytes, bytes))
    for bit in 0..<32 { #expect(!equalInConstantTime(bytes, bytes.flipping(bit: bit))) }
    #expect(!equalInConstantTime(bytes, [0, 1, 0x80]))
    #expect(equalInConstantTime([UInt8](), []))
  }

  @Test func aWipedArrayIsEmpty() {
    var secret: [UInt8] = [1, 2, 3]
    wipe(&secret)
    #expect(secret.isEmpty)
  }
}
