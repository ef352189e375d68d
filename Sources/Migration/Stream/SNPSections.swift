internal import Errors
package import QEMUStream
internal import SVSM
internal import Wire

/// The sections of an SNP stream: names, versions, ids and the order they come in.
///
/// A stock reader of QEMU streams walks them all: every section has a footer and stands in the VM
/// description, and the body of a section that comes in parts has one fixed size.
package enum SNPSection: Int, Sendable, CaseIterable, Comparable {
  case session
  case ram
  case guestMap
  case pages
  case epochs
  case machine
  case vcpu
  case service
  case secrets
  case pageStates
  case commit

  /// The version of every section of ours; bit 31 clear: a reader must understand it.
  package static let version: UInt32 = 1
  /// Set in the version of a section that a reader may skip: its body begins with a 4-byte
  /// big-endian length of what follows.
  package static let optionalBit: UInt32 = 1 << 31
  /// Bytes an optional section's body may have.
  package static let optionalLimit: UInt32 = 16 << 20

  package static func < (left: SNPSection, right: SNPSection) -> Bool {
    left.rawValue < right.rawValue
  }

  /// The section's idstr.
  package var name: SectionName {
    switch self {
    case .session: "snp-session"
    case .ram: RAMSection.name
    case .guestMap: "snp-guest-map"
    case .pages: "snp-private-pages"
    case .epochs: "snp-epochs"
    case .machine: "snp-machine"
    case .vcpu: "snp-vcpu"
    case .service: "snp-service"
    case .secrets: "snp-secrets"
    case .pageStates: "snp-page-states"
    case .commit: "snp-commit"
    }
  }

  /// The section called `name`.
  package init?(_ name: SectionName) {
    guard let section = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = section
  }

  /// The id of a section that comes once. Final records take the ids from `firstFinalID` on.
  /// No section that comes in parts has id 0, which QEMU's own loader cannot tell from others.
  var id: UInt32 { UInt32(rawValue) + 1 }

  /// The id of the first final record's section.
  static let firstFinalID: UInt32 = 16

  /// The id of the first section of the machine's own that is carried along.
  static let firstDeviceID: UInt32 = 0x100_0000

  /// Whether the section comes as start, parts and end.
  var comesInParts: Bool { self == .ram || self == .pages || self == .epochs }

  /// Whether there can be several, told apart by instance.
  var hasInstances: Bool { self == .vcpu || self == .service || self == .pageStates }

  /// The section that carries final records of `kind`.
  init(_ kind: FinalRecord.Kind) {
    switch kind {
    case .vcpu: self = .vcpu
    case .service: self = .service
    case .secrets: self = .secrets
    case .pageStates: self = .pageStates
    }
  }
}

extension SectionHeader {
  /// The header of a section of the format.
  init(_ section: SNPSection, _ kind: Kind = .full, id: UInt32, instance: UInt32 = 0) {
    self.init(
      kind, id: id, name: section.name, instance: instance, version: SNPSection.version)
  }
}

extension SealingOutput {
  /// Appends a section, or the start or end of one: header, body, footer.
  /// - Throws: `IO-WRITE`.
  func append(_ header: SectionHeader, _ body: [UInt8]) throws(MigrationError) {
    var head: [UInt8] = []
    head.append(header)
    try append(head)
    try append(body)
    try append(StreamGrammar.Footer(id: header.id).bytes)
  }
}
