package import Errors
internal import QEMUStream
package import SVSM

/// The materials that an attack is made from.
package struct Materials: Sendable {
  /// One input and its anatomy.
  package struct Input: Sendable {
    package let store: any ByteStore
    package let anatomy: Anatomy

    /// Bytes of any kind. Places in them can only be offsets.
    package init(plain store: any ByteStore) throws(MigrationError) {
      self.store = store
      anatomy = try Anatomy(whole: nil, size: store.size)
    }

    /// A stream, an offer or an instance file; its first bytes tell which.
    /// - Throws: what `Anatomy` refuses.
    package init(_ store: any ByteStore) throws(MigrationError) {
      self.store = store
      let magic = try store.read(0..<min(store.size, 8))
      anatomy =
        if store.size <= Self.wholeLimit, magic.elementsEqual("SVSMOFFR".utf8) {
          try Anatomy(whole: .offer, size: store.size)
        } else if store.size <= Self.wholeLimit, magic.elementsEqual("SVSMINST".utf8) {
          try Anatomy(whole: .instance, size: store.size)
        } else {
          try Anatomy(StreamInput(StoreSource(store)))
        }
    }

    /// The transfer data of a stream's session.
    /// - Throws: `ATTACK-NEEDS` when it is no stream.
    package func session() throws(MigrationError) -> TransferData {
      guard let part = try anatomy.part(.session) else {
        throw MigrationError(.attackNeeds, "only a stream is forged")
      }
      return try TransferData(
        store.read(part.body..<part.body + part.bodySize), at: part.body)
    }

    /// Largest size in bytes of an offer or an instance file.
    private static let wholeLimit = UInt64(
      max(MigrationData.maximumSize, SVSMInstance.maximumSize))

    /// The same of bytes in memory.
    package init(_ bytes: [UInt8]) throws(MigrationError) { try self.init(StoredBytes(bytes)) }
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
