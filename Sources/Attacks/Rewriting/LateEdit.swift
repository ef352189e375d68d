internal import Errors

/// How the damage done by the edits is repaired.
enum Repair: Sendable, Equatable {
  /// How the seal is signed.
  enum Signature: Sendable, Equatable {
    /// Signer and signature remain unchanged: the host has no key.
    case kept
    /// With a key of the host's own.
    case own
    /// With a key of the host's own, which the session then names as the source's key.
    case session
    /// Not at all.
    case none
  }

  /// Nothing is repaired.
  case none
  /// A host repairs what needs no key: counts, transcripts, ids, the VM description, the seal.
  case consistent(Signature)
  /// A lying source repairs everything: in a session of its own, with good tags.
  case rogue(isMutual: Bool)
}

/// Identifies the part of a stream that an edit changes.
struct PartKey: Hashable, Sendable {
  var space: Int
  var kind: Anatomy.Kind
  var index: Int

  init(_ named: NamedPart) { self.init(space: named.space, part: named.part) }

  init(space: Int, part: Anatomy.Part) {
    (self.space, kind, index) = (space, part.kind, part.index)
  }
}

/// An edit that is made while the stream is repaired: to a computed value, or to data covered by a
/// tag.
struct LateEdit: Sendable {
  enum Area: Sendable, Equatable {
    /// Bytes of the part, counted from its first byte.
    case part(Range<Int>)
    /// Bytes of the plaintext.
    case plaintext(Range<Int>)
    /// The whole plaintext. The new one may have another length.
    case wholePlaintext
    /// Bytes of the source's report, before it is signed.
    case report(Range<Int>)

    /// The range of bytes; nil for the whole plaintext.
    var range: Range<Int>? {
      switch self {
      case .part(let range), .plaintext(let range), .report(let range): range
      case .wholePlaintext: nil
      }
    }

    /// The same area without its first bytes.
    /// - Parameter size: size of the whole area.
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
  /// The new bytes, or the mask that is applied to the old ones.
  var bytes: [UInt8]
  var isMask = false
  /// Whether the edit is made after the tags are computed. A rogue source's edits are made before.
  var isAfterTags = false

  /// Makes the edit in `target`, in the bytes from the start of `range` on.
  /// - Returns: whether any byte changed.
  func apply(to target: inout [UInt8], _ range: Range<Int>) throws(MigrationError) -> Bool {
    guard range.lowerBound >= 0, range.lowerBound + bytes.count <= target.count else {
      throw MigrationError(.recipePlace, "an edit extends past the edited bytes")
    }
    return apply(to: &target, at: 0, range)
  }

  /// Makes the edit as far as it lies in `window`, the bytes from `start` on of what it is counted in.
  /// - Returns: whether any byte changed.
  func apply(to window: inout [UInt8], at start: Int, _ range: Range<Int>) -> Bool {
    let edited = range.lowerBound..<range.lowerBound + bytes.count
    var isChange = false
    for place in edited.clamped(to: start..<start + window.count) {
      let byte = bytes[place - edited.lowerBound]
      let new = isMask ? window[place - start] ^ byte : byte
      isChange = isChange || window[place - start] != new
      window[place - start] = new
    }
    return isChange
  }
}
