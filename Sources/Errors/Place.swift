/// The subject of an error: a section of a stream, a file, or a part of either.
///
/// The name is for people and for the key `section` in JSON. Modules add their own places.
public struct Place: Hashable, Sendable {
  /// The name as it is shown.
  public let name: String

  private init(name: String) { self.name = name }

  /// A section of a stream, or a record of one that has a name.
  /// - Parameter name: the name as the stream spells it.
  package static func section(_ name: some CustomStringConvertible) -> Place {
    Place(name: name.description)
  }

  /// A file, by its name or path.
  package static func file(_ name: String) -> Place { Place(name: name) }

  /// A line of a text, counted from 1. `file` names the file when there is more than one.
  package static func line(_ number: Int, of file: String? = nil) -> Place {
    Place(name: (file.map { $0 + " " } ?? "") + "line \(number)")
  }
}

extension Place {
  /// An attestation report.
  package static let report = Place(name: "report")
  /// A certificate that vouches for a report.
  package static let certificate = Place(name: "certificate")
  /// A table of certificates.
  package static let certificates = Place(name: "certificates")
  /// A list of revoked certificates.
  package static let revocationList = Place(name: "revocation list")
  /// A policy that reports are checked against.
  package static let policy = Place(name: "policy")
  /// The private key of a model platform.
  package static let endorsementKey = Place(name: "vcek.key")
  /// An instance file.
  package static let instance = Place(name: "instance")
  /// An offer file.
  package static let offer = Place(name: "offer")
  /// An abort token.
  package static let abort = Place(name: "abort")
  /// The page-state map that an SVSM holds.
  package static let pageStates = Place(name: "page states")
  /// The section with the transfer data.
  package static let session = Place(name: "snp-session")
  /// QEMU's section of RAM blocks.
  package static let ram = Place(name: "ram")
  /// The section of private pages.
  package static let pages = Place(name: "snp-private-pages")
  /// The section of epoch tokens.
  package static let epochs = Place(name: "snp-epochs")
  /// The section that records how a machine's devices are transferred.
  package static let machine = Place(name: "snp-machine")
  /// The section that ends a migration.
  package static let commit = Place(name: "snp-commit")
  /// The seal over a stream.
  package static let seal = Place(name: "seal")
  /// The machine state of a guest at rest.
  package static let machineState = Place(name: "machine state")
  /// A stream within a stream, as postcopy migration sends it.
  package static let `package` = Place(name: "packaged")
  /// The page size of a target, in the configuration.
  package static let targetPageBits = Place(name: "configuration/target-page-bits")
  /// QEMU's section of a vCPU.
  package static let cpu = Place(name: "cpu")
  /// QEMU's section of the CMOS memory.
  package static let realTimeClock = Place(name: "mc146818rtc")
}

extension Place: CustomStringConvertible {
  public var description: String { name }
}
