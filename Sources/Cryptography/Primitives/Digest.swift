package import Errors
internal import Wire

/// A SHA-2 function (FIPS 180-4), chosen at run time.
package enum DigestAlgorithm: Sendable, CaseIterable {
  case sha256
  case sha384
  case sha512

  /// Bytes of a digest.
  package var size: Int {
    switch self {
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }
}

/// A SHA-2 function (FIPS 180-4), chosen at compile time as a type. See `Digest`.
package protocol DigestFunction {
  static var algorithm: DigestAlgorithm { get }
}

/// The types with which `Digest` can be instantiated.
package enum SHA2 {
  package enum Bits256: DigestFunction {
    package static var algorithm: DigestAlgorithm { .sha256 }
  }
  package enum Bits384: DigestFunction {
    package static var algorithm: DigestAlgorithm { .sha384 }
  }
  package enum Bits512: DigestFunction {
    package static var algorithm: DigestAlgorithm { .sha512 }
  }
}

/// Computes SHA-256.
package typealias SHA256 = Digest<SHA2.Bits256>
/// Computes SHA-384.
package typealias SHA384 = Digest<SHA2.Bits384>
/// Computes SHA-512.
package typealias SHA512 = Digest<SHA2.Bits512>

/// A running SHA-2 digest.
///
/// Finishing starts the next digest, so one value can hash any number of chunks without allocating.
/// It may move between threads, but only one may use it at a time. Every method throws
/// `INTERNAL-CRYPTOGRAPHY` when libcrypto fails, which no input can cause.
package struct Digest<Function: DigestFunction>: ~Copyable, Sendable {
  /// Bytes of a digest.
  package static var size: Int { Function.algorithm.size }

  private let context: DigestContext

  /// Begins an empty digest.
  package init() throws(MigrationError) {
    let context = try DigestContext(Function.algorithm)
    try context.start()
    self.context = context
  }

  /// Adds `bytes` to the digest.
  package mutating func update(_ bytes: Span<UInt8>) throws(MigrationError) {
    try context.update(bytes)
  }

  /// Adds `bytes` to the digest.
  package mutating func update(_ bytes: [UInt8]) throws(MigrationError) {
    try context.update(bytes.span)
  }

  /// Returns the digest of all bytes since the start or the last finish, and begins a new one.
  package mutating func finish() throws(MigrationError) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Self.size)
    var output = digest.mutableSpan
    try finish(into: &output)
    return digest
  }

  /// Writes the digest of all bytes since the start or the last finish to `output` at `offset`, and
  /// begins a new one. Allocates nothing.
  package mutating func finish(
    into output: inout MutableSpan<UInt8>, at offset: Int = 0
  ) throws(MigrationError) {
    try context.finish(into: &output, at: offset)
    try context.start()
  }

  /// The digest of the bytes so far; the running digest continues.
  package func snapshot() throws(MigrationError) -> [UInt8] {
    let copy = try DigestContext(copying: context)
    var digest = [UInt8](repeating: 0, count: Self.size)
    var output = digest.mutableSpan
    try copy.finish(into: &output, at: 0)
    return digest
  }

  /// Discards the bytes that were added, and begins a new digest.
  package mutating func reset() throws(MigrationError) {
    try context.start()
  }

  /// The digest of `bytes`.
  package static func hash(_ bytes: Span<UInt8>) throws(MigrationError) -> [UInt8] {
    var digest = try Self()
    try digest.update(bytes)
    return try digest.finish()
  }

  /// The digest of `bytes`.
  package static func hash(_ bytes: [UInt8]) throws(MigrationError) -> [UInt8] {
    try hash(bytes.span)
  }
}

extension DigestAlgorithm {
  /// The digest of `bytes`.
  package func hash(_ bytes: [UInt8]) throws(MigrationError) -> [UInt8] {
    switch self {
    case .sha256: try SHA256.hash(bytes)
    case .sha384: try SHA384.hash(bytes)
    case .sha512: try SHA512.hash(bytes)
    }
  }
}
