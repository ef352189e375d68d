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

  /// Largest size in bytes of the blobs of a guest's services together, that of the machine included:
  /// source and destination hold all of them at once.
  package static let maximumSize = 8 << 20
  /// Largest number of services of a guest, that of the machine not counted.
  package static let maximumCount = 64

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

extension [ServiceState] {
  /// Makes sure that one guest can have all of these.
  /// - Throws: `GUEST-SHAPE` when they are too many, `SERVICE-SYNTAX` when their blobs are too long
  ///   together.
  package func requireLimits() throws(MigrationError) {
    let count = count { $0.kind != .machine }
    guard count <= ServiceState.maximumCount else {
      throw MigrationError(
        .guestShape, "guest has too many services",
        expected: "at most \(ServiceState.maximumCount)", got: "\(count)")
    }
    let size = reduce(0) { $0 + $1.blob.count }
    guard size <= ServiceState.maximumSize else {
      throw MigrationError(
        .serviceSyntax, "states of the services are too long together",
        expected: "at most \(ServiceState.maximumSize) bytes", got: "\(size)")
    }
  }
}
