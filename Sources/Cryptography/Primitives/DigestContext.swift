internal import CLibCrypto
internal import Errors
internal import Wire

extension DigestAlgorithm {
  /// The name of the algorithm in libcrypto's providers.
  var libraryName: String {
    switch self {
    case .sha256: "SHA2-256"
    case .sha384: "SHA2-384"
    case .sha512: "SHA2-512"
    }
  }
}

/// An algorithm that libcrypto has fetched, kept for the life of the process, because fetching
/// costs more than hashing a page. It is immutable and so can be shared by all threads.
@safe struct FetchedDigest: @unchecked Sendable {
  let pointer: OpaquePointer?

  private init(_ algorithm: DigestAlgorithm) {
    unsafe pointer = EVP_MD_fetch(nil, algorithm.libraryName, nil)
  }

  private static let sha256 = FetchedDigest(.sha256)
  private static let sha384 = FetchedDigest(.sha384)
  private static let sha512 = FetchedDigest(.sha512)

  static func of(_ algorithm: DigestAlgorithm) -> FetchedDigest {
    switch algorithm {
    case .sha256: sha256
    case .sha384: sha384
    case .sha512: sha512
    }
  }
}

/// Owns one `EVP_MD_CTX`. Freeing clears its state.
///
/// It is Sendable because its only user, `Digest`, changes it only in mutating methods.
@safe struct DigestContext: ~Copyable, @unchecked Sendable {
  private let pointer: OpaquePointer
  private let algorithm: DigestAlgorithm

  init(_ algorithm: DigestAlgorithm) throws(MigrationError) {
    guard let pointer = unsafe EVP_MD_CTX_new() else { throw failure(of: "EVP_MD_CTX_new") }
    unsafe self.pointer = pointer
    self.algorithm = algorithm
  }

  /// Makes a context that has digested the same bytes.
  init(copying other: borrowing DigestContext) throws(MigrationError) {
    guard let pointer = unsafe EVP_MD_CTX_new() else { throw failure(of: "EVP_MD_CTX_new") }
    guard unsafe EVP_MD_CTX_copy_ex(pointer, other.pointer) == 1 else {
      unsafe EVP_MD_CTX_free(pointer)
      throw failure(of: "EVP_MD_CTX_copy_ex")
    }
    unsafe self.pointer = pointer
    algorithm = other.algorithm
  }

  deinit { unsafe EVP_MD_CTX_free(pointer) }

  /// Begins a digest. The context reuses its memory from one digest to the next.
  func start() throws(MigrationError) {
    let fetched = FetchedDigest.of(algorithm)
    try check(unsafe EVP_DigestInit_ex2(pointer, fetched.pointer, nil), "EVP_DigestInit_ex2")
  }

  func update(_ bytes: Span<UInt8>) throws(MigrationError) {
    let status = unsafe bytes.withUnsafeBufferPointer {
      unsafe EVP_DigestUpdate(pointer, $0.baseAddress, $0.count)
    }
    try check(status, "EVP_DigestUpdate")
  }

  /// Writes the digest; `start` must be called before more bytes are added.
  func finish(into output: inout MutableSpan<UInt8>, at offset: Int) throws(MigrationError) {
    guard offset >= 0, output.count - offset >= algorithm.size else {
      throw MigrationError(.cryptography, "no room for a digest")
    }
    // There is room for the digest at `offset`, as just checked.
    let status = unsafe output.withUnsafeMutableBufferPointer {
      unsafe EVP_DigestFinal_ex(pointer, $0.baseAddress.map { unsafe $0 + offset }, nil)
    }
    try check(status, "EVP_DigestFinal_ex")
  }
}
