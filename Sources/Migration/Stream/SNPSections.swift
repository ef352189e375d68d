internal import Errors
package import QEMUStream
package import SVSM
internal import Wire

/// The sections of an SNP stream: names, versions, ids and order.
///
/// A stock reader of QEMU streams can walk all of them: every section has a footer and is described
/// in the VM description, and the body of a section that comes in parts has one fixed size.
package enum SNPSection: Hashable, Sendable, CaseIterable, Comparable {
  case session, ram, guestMap, pages, epochs, machine
  /// The section of final records of this kind.
  case final(FinalRecord.Kind)
  case commit

  /// In the order of the stream.
  package static let allCases: [SNPSection] =
    [.session, .ram, .guestMap, .pages, .epochs, .machine] + FinalRecord.Kind.allCases.map(final)
    + [.commit]

  /// The version of every section of the format except `ram`. Bit 31 is clear: a reader must
  /// understand the section.
  package static let version: UInt32 = 1
  /// Set in the version of a section that a reader may skip: its body begins with a 4-byte
  /// big-endian length of what follows.
  package static let optionalBit: UInt32 = 1 << 31
  /// Largest size of an optional section's body in bytes.
  package static let optionalLimit: UInt32 = 16 << 20

  package static func < (left: SNPSection, right: SNPSection) -> Bool {
    left.rank < right.rank
  }

  /// Position in the order of the stream.
  private var rank: Int {
    switch self {
    case .session: 0
    case .ram: 1
    case .guestMap: 2
    case .pages: 3
    case .epochs: 4
    case .machine: 5
    case .final(let kind): 6 + kind.position
    case .commit: 6 + FinalRecord.Kind.allCases.count
    }
  }

  /// The section that follows `section` in the order; the first section after nil.
  static func next(after section: SNPSection?) -> SNPSection? {
    let rank = section.map { $0.rank + 1 } ?? 0
    return rank < allCases.count ? allCases[rank] : nil
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
    case .final(let kind): kind.sectionName
    case .commit: "snp-commit"
    }
  }

  /// The section with this idstr; nil when it is not a section of the format.
  package init?(_ name: SectionName) {
    guard let section = Self.named[name] else { return nil }
    self = section
  }

  private static let named = Dictionary(uniqueKeysWithValues: allCases.map { ($0.name, $0) })

  /// The id of a section before the final records. The final records and the commit have the ids
  /// from `firstFinalID` on. No section that comes in parts has id 0, which QEMU's own loader
  /// cannot distinguish.
  var id: UInt32 { UInt32(rank) + 1 }

  /// The id of the first final record's section.
  static let firstFinalID: UInt32 = 16

  /// The id of the first section of the machine that is carried along.
  static let firstDeviceID: UInt32 = 0x100_0000

  /// Whether the section comes as start, parts and end.
  var comesInParts: Bool { self == .ram || self == .pages || self == .epochs }

  /// Whether there can be several such sections, distinguished by instance id.
  var hasInstances: Bool {
    if case .final(let kind) = self { kind.row.hasInstances } else { false }
  }
}

extension FinalRecord.Kind {
  /// The idstr of the sections that carry records of this kind.
  fileprivate var sectionName: SectionName {
    // A name of the format, although not a literal: it cannot be empty or too long.
    SectionName(stringLiteral: "snp-\(row.name)")
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
