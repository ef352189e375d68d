package import Errors
internal import FileIO
package import QEMUStream
package import SVSM

/// The materials that an attack is made from.
package struct Materials: Sendable {
  /// One input and its anatomy.
  package struct Input: Sendable {
    package let store: any ByteStore
    package let anatomy: Anatomy

    /// A stream, indexed from `input`, which must return the same bytes as `store`.
    /// - Throws: what `Anatomy` refuses.
    package init(_ store: any ByteStore, read input: StreamInput) throws(MigrationError) {
      self.store = store
      anatomy = try Anatomy(input)
    }

    /// Bytes of any kind. Places in them can only be offsets.
    package init(plain bytes: [UInt8]) {
      store = StoredBytes(bytes)
      anatomy = Anatomy(plainSize: UInt64(bytes.count))
    }

    /// A stream, an offer or an instance file in memory; its first bytes tell which.
    /// - Throws: what `Anatomy` refuses.
    package init(_ bytes: [UInt8]) throws(MigrationError) {
      store = StoredBytes(bytes)
      if bytes.starts(with: "SVSMOFFR".utf8) {
        anatomy = Anatomy(.offer, size: UInt64(bytes.count))
      } else if bytes.starts(with: "SVSMINST".utf8) {
        anatomy = Anatomy(.instance, size: UInt64(bytes.count))
      } else {
        anatomy = try Anatomy(of: bytes)
      }
    }
  }

  /// The input that is attacked.
  package var input: Input
  /// Another stream for the same destination.
  package var second: Input?
  /// The destination, when a rogue source is simulated.
  package var instance: SVSMInstance?
  /// The offer of another destination.
  package var offer: MigrationData?
  /// Chooses the places that a recipe leaves open, and generates the attacker's keys. The same seed
  /// gives the same output.
  package var seed: [UInt8] = [0]

  package init(_ input: Input) { self.input = input }
}
