internal import Bytes

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
  }

  var area: Area
  /// The new bytes, or what the old ones are changed with.
  var bytes: [UInt8]
  var isMask = false
  /// Whether it comes behind the tags: a rogue source's come before.
  var isAfterTags = false

  /// Makes the edit in `target`, whose bytes from `range` on are meant.
  func apply(to target: inout [UInt8], _ range: Range<Int>) throws(MigrationError) {
    guard range.lowerBound >= 0, range.lowerBound + bytes.count <= target.count else {
      throw MigrationError(.recipePlace, "an edit reaches behind what is edited")
    }
    for (index, byte) in bytes.enumerated() {
      let place = range.lowerBound + index
      target[place] = isMask ? target[place] ^ byte : byte
    }
  }
}
