package import Errors
internal import SEVSNP
package import Wire

extension FinalRecord {
  /// What a final record contains. Everything about a kind is in its row, except the code that
  /// makes its plaintext (`SourceSVSM`) and the code that accepts it (`ImportedState`).
  package enum Kind: UInt16, Sendable, CaseIterable {
    case vcpu = 1
    case service = 2
    case secrets = 3
    case pageStates = 4
  }

  /// The row of one kind in the table of kinds.
  package struct KindRow {
    /// The name in outputs. With the prefix `snp-` it is the name of the section.
    package var name: String
    /// The name in the places of recipes (`Formats/vectors.md`, section 2).
    package var placeName: String
    /// The plural in messages.
    package var plural: String
    /// Whether a guest can have several records of this kind, distinguished by their index.
    package var hasInstances: Bool
    /// The field of the commit that counts records of this kind.
    package var count: WritableKeyPath<CommitRecord.Layout, BE32>
    /// The form of the plaintext.
    package var plaintext: Plaintext
    /// The refusal of a plaintext with a length that this kind cannot have.
    var wrongLength: (code: ErrorCode, what: String)
    /// Whether other kinds contain some of the same facts, so that they are compared with each
    /// other.
    var isCompared: Bool
  }

  /// The form of a plaintext.
  package enum Plaintext {
    /// A record. One of its fields may be a record of another layout.
    case record(any WireRecord.Type, part: (name: String, layout: any WireRecord.Type)? = nil)
    /// A record, followed by all remaining bytes under the name `rest`.
    case open(any WireRecord.Type, rest: String)
    /// Records one after the other, each under the name `entry`.
    case list(any WireRecord.Type, entry: String)
  }
}

extension FinalRecord.Kind {
  /// The table of kinds.
  package var row: FinalRecord.KindRow {
    switch self {
    case .vcpu:
      FinalRecord.KindRow(
        name: "vcpu", placeName: "vcpu", plural: "vCPUs", hasInstances: true, count: \.vcpus,
        plaintext: .record(VCPUPlaintext.Layout.self, part: ("vmsa", VMSA.Layout.self)),
        wrongLength: (.vcpuSyntax, "vCPU record has a wrong length"), isCompared: true)
    case .service:
      FinalRecord.KindRow(
        name: "service", placeName: "service", plural: "services", hasInstances: true,
        count: \.services, plaintext: .open(ServicePlaintext.Layout.self, rest: "blob"),
        wrongLength: (.streamTruncated, "service ends in its fixed part"), isCompared: false)
    case .secrets:
      FinalRecord.KindRow(
        name: "secrets", placeName: "secrets", plural: "secrets pages", hasInstances: false,
        count: \.secretsPages,
        plaintext: .record(
          SecretsPlaintext.Layout.self, part: ("facts", SecretsPageFacts.Layout.self)),
        wrongLength: (.secretsPage, "record of the secrets page has a wrong length"),
        isCompared: true)
    case .pageStates:
      FinalRecord.KindRow(
        name: "page-states", placeName: "states", plural: "map parts", hasInstances: true,
        count: \.mapParts, plaintext: .list(PageStateMap.Layout.self, entry: "run"),
        wrongLength: (.streamTruncated, "page states end inside of a run"), isCompared: true)
    }
  }

  /// Index of this kind in a list of all kinds.
  package var position: Int { Int(rawValue) - 1 }

  /// Makes sure that a piece of this kind can have `count` bytes. A ciphertext is as long as its
  /// plaintext, so the check needs no key.
  /// - Throws: `VCPU-SYNTAX`, `SECRETS-PAGE`; `STREAM-TRUNCATED` for a service that ends in its
  ///   fixed part and for page states that end inside of a run.
  package func requireLength(_ count: Int) throws(MigrationError) {
    let row = row
    let (fits, expected) =
      switch row.plaintext {
      case .record(let layout, _): (count == layout.size, "\(layout.size)")
      case .open(let layout, _): (count >= layout.size, "at least \(layout.size)")
      case .list(let layout, _): (count % layout.size == 0, "a multiple of \(layout.size)")
      }
    guard fits else {
      throw MigrationError(
        row.wrongLength.code, row.wrongLength.what, expected: "\(expected) bytes", got: "\(count)")
    }
  }
}

/// Number of final records of each kind.
package struct FinalCounts: Sendable, Hashable {
  private var counts = [UInt32](repeating: 0, count: FinalRecord.Kind.allCases.count)

  package init() {}

  /// The counts in a commit.
  init(_ commit: CommitRecord.Layout) {
    for kind in FinalRecord.Kind.allCases { self[kind] = commit[keyPath: kind.row.count].value }
  }

  /// Writes the counts to a commit.
  func put(in commit: inout CommitRecord.Layout) {
    for kind in FinalRecord.Kind.allCases { commit[keyPath: kind.row.count] = BE32(self[kind]) }
  }

  /// Number of final records of all kinds.
  package var total: UInt64 { counts.reduce(0) { $0 + UInt64($1) } }

  /// Number of records of `kind`.
  package subscript(kind: FinalRecord.Kind) -> UInt32 {
    get { counts[kind.position] }
    set { counts[kind.position] = newValue }
  }

  /// Counts one record of `kind`.
  package mutating func add(_ kind: FinalRecord.Kind) { self[kind] += 1 }
}
