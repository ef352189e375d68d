package import Errors
internal import FileIO
internal import Migration
package import QEMUStream
internal import Wire

/// The kind of a stream.
package enum StreamKind: String, Sendable {
  /// An SNP migration stream.
  case snp
  /// A plain QEMU stream.
  case qemu

  /// Number of bytes within which the session section of an SNP stream begins, for any
  /// configuration.
  private static let markerLimit = 512

  /// Detects the kind of stream at the front of `input` by its first section. If that section is
  /// damaged, the name of the session section near the front decides, so that a damaged SNP stream
  /// is still read as an SNP stream. Consumes nothing, and reads no more bytes than the decision
  /// needs.
  /// - Returns: nil when there is no section; reading the input as a plain stream then gives the
  ///   error.
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
  /// Whether a section of this name begins an SNP stream, or did so before it was damaged. No
  /// section of QEMU has a similar name.
  fileprivate var isLikeSession: Bool {
    let session = SNPSection.session.name.bytes
    guard !bytes.starts(with: "snp-".utf8) else { return true }
    return bytes.count == session.count
      && zip(bytes, session).count(where: { $0 != $1 }) == 1
  }
}

/// Reads the front of a stream field by field, without consuming it.
private struct Preview {
  /// The first record after the header, the configuration and the commands.
  enum First {
    case section(SectionName)
    /// The stream has no section.
    case end
  }

  /// Upper limit of the size of a file header, a configuration with all its subsections, and some
  /// commands.
  private static let limit = 4096

  private let input: StreamInput
  private var next = 0

  init(_ input: StreamInput) { self.input = input }

  /// The next `count` bytes; nil when the stream ends before them, or they pass the limit.
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

  /// Skips the configuration and commands, up to the first section.
  /// - Returns: nil for bytes that are not well-formed records.
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

  /// Whether the first `limit` bytes contain `text`.
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

  /// Skips a command.
  /// - Returns: false for an unknown command.
  private mutating func skipCommand() throws(MigrationError) -> Bool {
    guard let code = try number(2), let length = try number(2),
      let known = StreamCommand.Code(rawValue: UInt16(code)), known.allows(Int(length))
    else { return false }
    return try bytes(length) != nil
  }

  /// Skips a subsection of the configuration.
  /// - Returns: false for an unknown subsection.
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
