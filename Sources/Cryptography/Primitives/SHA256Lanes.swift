internal import CSHA256
internal import Glibc
internal import Wire

/// SHA-256 (FIPS 180-4) of several messages of the same length at once.
///
/// A round instruction of the SHA extensions waits for the one before it. Messages that are hashed in turn fill
/// that time: three of them take half the time that libcrypto takes for one after the other. The digests are
/// those of `SHA256`.
package enum SHA256Lanes {
  /// Messages that are hashed at once.
  package static var count: Int { Int(sha256_lanes_count) }

  /// Whether this processor can do it: it has the SHA extensions and AVX2.
  package static let isAvailable = sha256_lanes_available()

  /// Whether it is to be done: it can be, and the environment variable `SVSM_MIG_SHA256` does not ask for
  /// `libcrypto`.
  package static let isPreferred: Bool = {
    // The environment's string is read before anything can change it.
    guard let engine = unsafe getenv("SVSM_MIG_SHA256") else { return isAvailable }
    return unsafe strcmp(engine, "libcrypto") != 0 && isAvailable
  }()

  /// Hashes three messages. Preconditions: `isAvailable`; the messages have one length; `digests` has room for
  /// `count` digests of 32 bytes.
  /// - Parameters:
  ///   - prefix: what each message begins with, before the bytes of its own: less than 64 bytes.
  ///   - digests: takes the digests, one after the other.
  package static func hash(
    prefix: Span<UInt8>, _ first: Span<UInt8>, _ second: Span<UInt8>, _ third: Span<UInt8>,
    into digests: inout MutableSpan<UInt8>
  ) {
    precondition(isAvailable && prefix.count < 64 && digests.count >= count * SHA256.size)
    precondition(first.count == second.count && second.count == third.count)
    // Reads as many bytes as the spans have, and writes as many as there are digests.
    unsafe prefix.withUnsafeBufferPointer { prefix in
      unsafe first.withUnsafeBufferPointer { first in
        unsafe second.withUnsafeBufferPointer { second in
          unsafe third.withUnsafeBufferPointer { third in
            unsafe digests.withUnsafeMutableBufferPointer { digests in
              // Not nil: a pointer of an empty span is not followed, but C may be told so.
              guard let target = digests.baseAddress else { return }
              let nowhere = unsafe UnsafePointer(target)
              unsafe sha256_lanes(
                prefix.baseAddress ?? nowhere, prefix.count, first.baseAddress ?? nowhere,
                second.baseAddress ?? nowhere, third.baseAddress ?? nowhere, first.count, target)
            }
          }
        }
      }
    }
  }
}
