package import Errors
internal import SEVSNP
package import Wire

extension FinalRecord {
  /// What a final record tells of. All that is known of a kind beside the code that makes its plaintext
  /// (`SourceSVSM`) and takes it (`ImportedState`) stands in its row.
  package enum Kind: UInt16, Sendable, CaseIterable {
    case vcpu = 1
    case service = 2
    case secrets = 3
    case pageStates = 4
  }

  /// The row of one kind in the table of kinds.
  package struct KindRow {
    /// The name in outputs; its section is called so after `snp-`.
    package var name: String
    /// The name in the places of recipes (`Formats/vectors.md`, section 2).
    package var placeName: String
    /// Several of them, in a message.
    package var plural: String
    /// Whether a guest can have several, told apart by their index.
    package var hasInstances: Bool
    /// Where the commit counts them.
    package var count: WritableKeyPath<CommitRecord.Layout, BE32>
    /// What is encrypted.
    package var plaintext: Plaintext
    /// The refusal of a plaintext that cannot have its length.
    var wrongLength: (code: ErrorCode, what: String)
    /// Whether other kinds tell some of the same facts, so that they are held against each other.
    var isCompared: Bool
  }

  /// The form of a plaintext.
  package enum Plaintext {
    /// A record, of which one field may be a record of another layout.
    case record(any WireRecord.Type, part: (name: String, layout: any WireRecord.Type)? = nil)
    /// A record and as many bytes as are left, which have a name.
    case open(any WireRecord.Type, rest: String)
    /// Records that follow each other, each with this name.
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
        wrongLength: (.vcpuSyntax, "vCPU record has another length"), isCompared: true)
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
        wrongLength: (.secretsPage, "record of the secrets page has another length"),
        isCompared: true)
    case .pageStates:
      FinalRecord.KindRow(
        name: "page-states", placeName: "states", plural: "map parts", hasInstances: true,
        count: \.mapParts, plaintext: .list(PageStateMap.Layout.self, entry: "run"),
        wrongLength: (.streamTruncated, "page states end inside of a run"), isCompared: true)
    }
  }

  /// Where a list of all kinds has it.
  package var position: Int { Int(rawValue) - 1 }

  /// Whether a piece of this kind can have `count` bytes. A ciphertext is as long as its plaintext: who
  /// has no key knows that too.
  /// - Throws: `VCPU-SYNTAX`, `SECRETS-PAGE`; `STREAM-TRUNCATED` for a piece that ends inside of a part.
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

/// How many final records of each kind there were.
package struct FinalCounts: Sendable, Hashable {
  private var counts = [UInt32](repeating: 0, count: FinalRecord.Kind.allCases.count)

  package init() {}

  /// As a commit has them.
  init(_ commit: CommitRecord.Layout) {
    for kind in FinalRecord.Kind.allCases { self[kind] = commit[keyPath: kind.row.count].value }
  }

  /// Writes them to a commit.
  func put(in commit: inout CommitRecord.Layout) {
    for kind in FinalRecord.Kind.allCases { commit[keyPath: kind.row.count] = BE32(self[kind]) }
  }

  /// All records.
  package var total: UInt64 { counts.reduce(0) { $0 + UInt64($1) } }

  /// How many of `kind` there were.
  package subscript(kind: FinalRecord.Kind) -> UInt32 {
    get { counts[kind.position] }
    set { counts[kind.position] = newValue }
  }

  /// Counts one record of `kind`.
  package mutating func add(_ kind: FinalRecord.Kind) { self[kind] += 1 }
}
