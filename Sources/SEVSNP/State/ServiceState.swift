package import Errors
internal import Wire

/// State of one service of an SVSM: an opaque blob with a typed header.
package struct ServiceState: Sendable, Hashable {
  /// The kind of service that the blob belongs to. Values from 0x8000 on are for private use.
  package struct Kind: RawRepresentable, Sendable, Hashable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    /// The virtual TPM: its complete state, as its implementation serializes it.
    package static let vTPM = Kind(rawValue: 1)

    /// The parts of the VMM's devices that are the guest's own: registers, the state of a TPM.
    package static let machine = Kind(rawValue: 2)

    /// Whether this SVSM supports the kind.
    package var isKnown: Bool { self == .vTPM || self == .machine }

    /// The name that tools print.
    package var name: String {
      switch self {
      case .vTPM: "vtpm"
      case .machine: "machine"
      default: "service-\(Hex.number(rawValue))"
      }
    }
  }

  /// Largest size of a blob in bytes.
  package static let maximumSize = 16 << 20

  package var kind: Kind
  /// Whether a destination that does not know `kind` must refuse the guest.
  package var isMandatory: Bool
  /// Version of the blob's own format, chosen by the service.
  package var version: UInt32
  /// Increases by one with each migration, so that an older state can be distinguished from a newer
  /// one.
  package var generation: UInt64
  /// The state, in the service's own format.
  package var blob: [UInt8]

  /// - Throws: `SERVICE-SYNTAX` when `blob` is longer than `maximumSize`.
  package init(
    kind: Kind, isMandatory: Bool = true, version: UInt32, generation: UInt64, blob: [UInt8]
  ) throws(MigrationError) {
    guard blob.count <= Self.maximumSize else {
      throw MigrationError(
        .serviceSyntax, "service state is too long", expected: "at most \(Self.maximumSize) bytes",
        got: "\(blob.count)")
    }
    self.kind = kind
    self.isMandatory = isMandatory
    self.version = version
    self.generation = generation
    self.blob = blob
  }
}
