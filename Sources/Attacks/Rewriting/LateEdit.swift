internal import Errors

/// How what the edits broke is mended.
enum Repair: Sendable, Equatable {
  /// What becomes of the seal's signature.
  enum Signature: Sendable, Equatable {
    /// Signer and signature stay as they are: the host has no key.
    case kept
    /// A key of the host's own.
    case own
    /// A key of the host's own, which the session names as its source's.
    case session
    /// The seal is not signed.
    case none
  }

  /// Not at all.
  case none
  /// By a host, which needs no key for it: counts, transcripts, ids, the VM description, the seal.
  case consistent(Signature)
  /// By a source that lies: in a session of its own, all of it under good tags.
  case rogue(isMutual: Bool)
}

/// Which part of a stream an edit is about.
struct PartKey: Hashable, Sendable {
  var space: Int
  var kind: Anatomy.Kind
  var index: Int

  init(_ named: NamedPart) { self.init(space: named.space, part: named.part) }

  init(space: Int, part: Anatomy.Part) {
    (self.space, kind, index) = (space, part.kind, part.first)
  }
}

/// An edit that is made while the stream is mended: to what was computed, or under a tag.
struct LateEdit: Sendable {
  enum Area: Sendable, Equatable {
    /// Bytes of the part from its first one on.
    case part(Range<Int>)
    /// Bytes of what is encrypted.
    case plaintext(Range<Int>)
    /// All that is encrypted; the new one may have another length.
    case wholePlaintext
    /// Bytes of the source's report, before it is signed.
    case report(Range<Int>)

    /// The bytes meant; nil where it is all there are.
    var range: Range<Int>? {
      switch self {
      case .part(let range), .plaintext(let range), .report(let range): range
      case .wholePlaintext: nil
      }
    }

    /// The same without its first bytes.
    /// - Parameter size: how many there are in all.
    func dropping(_ count: Int, of size: Int) -> Area {
      switch self {
      case .part(let range): .part(range.dropFirst(count))
      case .plaintext(let range): .plaintext(range.dropFirst(count))
      case .report(let range): .report(range.dropFirst(count))
      case .wholePlaintext: .plaintext(count..<size)
      }
    }
  }

  var area: Area
  /// The new bytes, or what the old ones are changed with.
  var bytes: [UInt8]
  var isMask = false
  /// Whether it comes behind the tags: a rogue source's come before.
  var isAfterTags = false

  /// Makes the edit in `target`, whose bytes from `range` on are meant.
  /// - Returns: whether other bytes stood there.
  func apply(to target: inout [UInt8], _ range: Range<Int>) throws(MigrationError) -> Bool {
    guard range.lowerBound >= 0, range.lowerBound + bytes.count <= target.count else {
      throw MigrationError(.recipePlace, "an edit reaches behind what is edited")
    }
    var isChange = false
    for (index, byte) in bytes.enumerated() {
      let place = range.lowerBound + index
      let new = isMask ? target[place] ^ byte : byte
      isChange = isChange || target[place] != new
      target[place] = new
    }
    return isChange
  }
}
