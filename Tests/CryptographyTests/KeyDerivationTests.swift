import Cryptography
import Errors
import Testing
import Wire

@Suite struct KeyDerivationTests {
  struct HMACRow: Decodable, Sendable, CustomTestStringConvertible {
    let source, algorithm: String
    let key, msg, md: HexBytes

    var testDescription: String { "\(algorithm), \(source)" }
  }

  @Test(arguments: try vectors("hmac.json", of: HMACRow.self))
  func aPublishedMessageHasItsCode(row: HMACRow) throws {
    let algorithm = try #require(DigestAlgorithm(named: row.algorithm))
    #expect(
      try HMAC.authenticate(row.msg.bytes, key: row.key.bytes, using: algorithm) == row.md.bytes)
  }

  /// RFC 2104 pads a short key with zeros.
  @Test func theEmptyKeyIsTheKeyOfZeros() throws {
    let zeros = [UInt8](repeating: 0, count: 128)
    for message: [UInt8] in [[], [1, 2, 3]] {
      #expect(
        try HMAC.authenticate(message, key: [], using: .sha384)
          == HMAC.authenticate(message, key: zeros, using: .sha384))
    }
  }

  struct HKDFRow: Decodable, Sendable, CustomTestStringConvertible {
    let source, algorithm: String
    let ikm, salt, info, prk, okm: HexBytes

    var testDescription: String { "\(algorithm), \(source)" }
  }

  @Test(arguments: try vectors("hkdf.json", of: HKDFRow.self))
  func aPublishedKeyIsDerived(row: HKDFRow) throws {
    let algorithm = try #require(DigestAlgorithm(named: row.algorithm))
    let prk = try HKDF.extract(row.ikm.bytes, salt: row.salt.bytes, using: algorithm)
    #expect(prk == row.prk.bytes)
    for count in [0, 1, row.okm.bytes.count] {
      let okm = try HKDF.expand(prk, info: row.info.bytes, count: count, using: algorithm)
      #expect(okm == Array(row.okm.bytes.prefix(count)))
    }
  }

  @Test(arguments: DigestAlgorithm.allCases)
  func expandGivesNoMoreThan255Digests(algorithm: DigestAlgorithm) throws {
    let prk = [UInt8](repeating: 1, count: algorithm.size)
    let most = 255 * algorithm.size
    #expect(try HKDF.expand(prk, info: [], count: most, using: algorithm).count == most)
    for count in [most + 1, -1, Int.max, Int.min] {
      let error = #expect(throws: MigrationError.self) {
        try HKDF.expand(prk, info: [], count: count, using: algorithm)
      }
      #expect(error?.code == .cryptography)
    }
  }
}

@Suite struct RandomSourceTests {
  struct Row: Decodable, Sendable {
    let seed: HexBytes
    let label: String
    let bytes: HexBytes
  }

  @Test(arguments: try vectors("random-seeded.json", of: Row.self))
  func aSeedAndALabelGiveTheirBytes(row: Row) throws {
    let source = RandomSource.seeded(row.seed.bytes)
    #expect(source.isSeeded)
    #expect(try source.bytes(row.bytes.bytes.count, for: row.label) == row.bytes.bytes)
  }

  @Test func theOrderOfDrawsChangesNothing() throws {
    let source = RandomSource.seeded([1, 2, 3])
    let first = (try source.bytes(32, for: "a"), try source.bytes(32, for: "b"))
    let second = (try source.bytes(32, for: "b"), try source.bytes(32, for: "a"))
    #expect(first.0 == second.1)
    #expect(first.1 == second.0)
    #expect(first.0 != first.1)
    #expect(try RandomSource.seeded([1, 2, 4]).bytes(32, for: "a") != first.0)
  }

  @Test func theSystemGivesOtherBytesEachTime() throws {
    let source = RandomSource.system
    #expect(!source.isSeeded)
    let (first, second) = (try source.bytes(32, for: "a"), try source.bytes(32, for: "a"))
    #expect(first.count == 32)
    #expect(first != second)
    #expect(try source.bytes(0, for: "a").isEmpty)
  }
}

@Suite struct SecretsTests {
  @Test func wipingEmptiesOneNameAndSparesOtherCopies() {
    var secret: [UInt8] = [1, 2, 3]
    let copy = secret
    wipe(&secret)
    #expect(secret.isEmpty)
    #expect(copy == [1, 2, 3])
    wipe(&secret)
    #expect(secret.isEmpty)
  }

  @Test(arguments: 0..<16, 0..<8)
  func oneDifferentBitIsADifference(byte: Int, bit: Int) {
    let left = (0..<16).map { UInt8($0) }
    var right = left
    #expect(equalInConstantTime(left, right))
    right[byte] ^= 1 << bit
    #expect(!equalInConstantTime(left, right))
  }

  @Test func anotherLengthIsADifference() {
    let bytes: [UInt8] = [0, 0]
    #expect(equalInConstantTime([], []))
    #expect(!equalInConstantTime(bytes, []))
    #expect(!equalInConstantTime([], bytes))
    #expect(!equalInConstantTime(bytes, [0]))
    #expect(!equalInConstantTime(bytes, [0, 0, 0]))
  }
}
