/// What an error is about: a section of a stream, a file, or a part of one.
///
/// A name for people and for `section` in JSON. Modules add the places that are theirs.
public struct Place: Hashable, Sendable {
  /// As it is shown.
  public let name: String

  private init(name: String) { self.name = name }

  /// A section of a stream, or a record of one that has a name.
  /// - Parameter name: as the stream spells it.
  package static func section(_ name: some CustomStringConvertible) -> Place {
    Place(name: name.description)
  }

  /// A file, by its name or path.
  package static func file(_ name: String) -> Place { Place(name: name) }

  /// A line of a text, counted from 1, and of which file when it is not the only one.
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
  /// A policy that reports are held against.
  package static let policy = Place(name: "policy")
  /// The private key of a platform of the model.
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
  /// The section that says how a machine's devices travel.
  package static let machine = Place(name: "snp-machine")
  /// The section that ends a migration.
  package static let commit = Place(name: "snp-commit")
  /// The seal over a stream.
  package static let seal = Place(name: "seal")
  /// The machine state of a guest at rest.
  package static let machineState = Place(name: "machine state")
  /// A stream within a stream, as postcopy sends it.
  package static let `package` = Place(name: "packaged")
  /// The size of a target's pages, in the configuration.
  package static let targetPageBits = Place(name: "configuration/target-page-bits")
  /// QEMU's section of a vCPU.
  package static let cpu = Place(name: "cpu")
  /// QEMU's section of the CMOS memory.
  package static let realTimeClock = Place(name: "mc146818rtc")
}

extension Place: CustomStringConvertible {
  public var description: String { name }
}
