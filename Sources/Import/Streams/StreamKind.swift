package import Errors
internal import FileIO
internal import Migration
package import QEMUStream
internal import Wire

/// What kind of stream lies somewhere.
package enum StreamKind: String, Sendable {
  /// An SNP migration stream.
  case snp
  /// A plain QEMU stream.
  case qemu

  /// Bytes in which the session of an SNP stream begins, whatever is in its configuration.
  private static let markerLimit = 512

  /// What kind of stream lies at the front of `input`: its first section tells. Where damage hides that,
  /// the name of the session does, if it stands near the front; so a stream of either kind is read as what
  /// it is. Consumes nothing, and waits for no more bytes than tell it.
  /// - Returns: nil when there is no section; then reading it as a plain stream tells what it lacks.
  /// - Throws: `IO-READ`.
  package init?(detecting input: StreamInput) throws(MigrationError) {
    var preview = Preview(input)
    guard try preview.number(4) == UInt64(StreamGrammar.magic),
      try preview.number(4) == UInt64(StreamGrammar.version)
    else { return nil }
    switch try preview.firstSection() {
    case .section(let name) where name.isLikeSession: self = .snp
    case .section(let name) where name.bytes.allSatisfy({ 0x20...0x7e ~= $0 }): self = .qemu
    case .section, .none:
      guard try preview.holds("snp-session", within: Self.markerLimit) else { return nil }
      self = .snp
    case .end:
      self = try preview.holds("snp-session", within: Self.markerLimit) ? .snp : .qemu
    }
  }
}

extension SectionName {
  /// Whether a section of this name begins an SNP stream, or did so before damage: no section of QEMU's is
  /// called so.
  fileprivate var isLikeSession: Bool {
    let session = SNPSection.session.name.bytes
    guard !bytes.starts(with: "snp-".utf8) else { return true }
    return bytes.count == session.count
      && zip(bytes, session).count(where: { $0 != $1 }) == 1
  }
}

/// Looks at the front of a stream without consuming it, field by field.
private struct Preview {
  /// What comes before the first section.
  enum First {
    case section(SectionName)
    /// The sections end before there was one.
    case end
  }

  /// A file header, a configuration with all its subsections, and some commands are shorter than this.
  private static let limit = 4096

  private let input: StreamInput
  private var next = 0

  init(_ input: StreamInput) { self.input = input }

  /// The next `count` bytes; nil when the stream ends before, or they are too many to look at.
  mutating func bytes(_ count: UInt64) throws(MigrationError) -> [UInt8]? {
    guard count <= Self.limit - next else { return nil }
    let end = next + Int(count)
    guard try input.available(atLeast: end) >= end else { return nil }
    let found = Array(copying: input.bytes.extracting(next..<end))
    next = end
    return found
  }

  /// A big-endian number of `size` bytes.
  mutating func number(_ size: UInt64) throws(MigrationError) -> UInt64? {
    try bytes(size)?.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Goes to the first section, over a configuration and commands.
  /// - Returns: nil when what is there cannot be followed.
  mutating func firstSection() throws(MigrationError) -> First? {
    guard var type = try type() else { return nil }
    if type == .configuration {
      guard let length = try number(4), length <= UInt64(Configuration.nameLimit),
        try bytes(length) != nil, let next = try self.type()
      else { return nil }
      type = next
      while type == .subsection {
        guard try skipSubsection(), let next = try self.type() else { return nil }
        type = next
      }
    }
    while type == .command {
      guard try skipCommand(), let next = try self.type() else { return nil }
      type = next
    }
    switch type {
    case .eof: return .end
    case .sectionStart, .sectionFull:
      guard try number(4) != nil, let name = try name() else { return nil }
      return .section(name)
    default: return nil
    }
  }

  /// Whether `text` stands in the first `limit` bytes, from the front on.
  func holds(_ text: String, within limit: Int) throws(MigrationError) -> Bool {
    let count = min(try input.available(atLeast: limit), limit)
    return Array(copying: input.bytes.extracting(first: count)).contains(Array(text.utf8))
  }

  private mutating func type() throws(MigrationError) -> RecordType? {
    try number(1).flatMap { RecordType(rawValue: UInt8($0)) }
  }

  private mutating func name() throws(MigrationError) -> SectionName? {
    guard let count = try number(1) else { return nil }
    return try bytes(count).flatMap { SectionName($0) }
  }

  /// - Returns: whether it was one that is known.
  private mutating func skipCommand() throws(MigrationError) -> Bool {
    guard let code = try number(2), let length = try number(2),
      let known = StreamCommand.Code(rawValue: UInt16(code)), known.allows(Int(length))
    else { return false }
    return try bytes(length) != nil
  }

  /// - Returns: whether it was one that is known.
  private mutating func skipSubsection() throws(MigrationError) -> Bool {
    guard let name = try name(), try number(4) != nil else { return false }
    switch name {
    case "configuration/target-page-bits": return try bytes(4) != nil
    case "configuration/uuid": return try bytes(16) != nil
    case "configuration/capabilities":
      guard let count = try number(4), count <= 64 else { return false }
      for _ in 0..<count where try self.name() == nil { return false }
      return true
    default: return false
    }
  }
}
