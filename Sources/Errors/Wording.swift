/// Something that a caller can supply or permit, so that an operation that was refused succeeds.
///
/// Messages name a need by its case. The code that shows the message chooses the spelling: a tool
/// shows the option that supplies the need.
public enum Need: String, Sendable, CaseIterable {
  case abort = "an abort"
  case below4G = "the memory below 4 GiB"
  case block = "a RAM block by name"
  case channel = "a multifd channel"
  case commands = "permission to run commands"
  case features = "SEV features"
  case incomplete = "permission for an incomplete stream"
  case instance = "an instance"
  case length = "the stream's length"
  case machine = "the machine type"
  case memory = "the memory of a block"
  case notRAM = "a block that is not guest memory"
  case offer = "an offer"
  case offset = "the stream's offset"
  case oneWay = "permission for a source without proof"
  case output = "an output"
  case program = "another program"
  case ram = "a block's place"
  case replacing = "permission to replace it"
  case revocation = "a revocation list"
  case second = "a second stream"
  case seed = "a seed"
  case seeded = "permission for keys from a seed"
  case signer = "the signer's offer"
  case snapshot = "a snapshot"
  case source = "the source's instance"
  case target = "a destination's dump"
  case targetMachines = "the destination's machine types"
  case targetRAM = "the destination's size of a RAM block"
  case time = "a time"
  case trust = "a trusted root"
  case until = "a moment of the stream"
  case vmsa = "a VMSA page"
}

/// A text for people in which needs can be named; their spelling is chosen when the text is shown.
package struct Wording: Sendable, Hashable {
  fileprivate enum Piece: Sendable, Hashable {
    case text(String)
    case need(Need)
  }

  /// No two pieces of text are adjacent, so that equal wordings compare equal.
  private var pieces: [Piece] = []

  public init(_ text: some StringProtocol) { append(.text(String(text))) }

  fileprivate mutating func append(_ piece: Piece) {
    if case .text(let words) = piece {
      if words.isEmpty { return }
      if case .text(let before)? = pieces.last {
        pieces[pieces.count - 1] = .text(before + words)
        return
      }
    }
    pieces.append(piece)
  }

  /// The text, with each need replaced by the result of `spell`.
  public func spelled(_ spell: (Need) -> String) -> String {
    pieces.reduce(into: "") { text, piece in
      switch piece {
      case .text(let words): text += words
      case .need(let need): text += spell(need)
      }
    }
  }

  /// The text with one part of it replaced wherever it occurs, but not in needs.
  package func replacing(_ part: String, with other: String) -> Wording {
    pieces.reduce(into: Wording("")) { text, piece in
      guard case .text(let words) = piece else { return text.append(piece) }
      text.append(.text(words.replacing(part, with: other)))
    }
  }

  public static func + (one: Wording, other: Wording) -> Wording {
    other.pieces.reduce(into: one) { sum, piece in sum.append(piece) }
  }
}

extension Wording: CustomStringConvertible {
  /// The text, for readers that have no spelling of their own for needs.
  package var description: String { spelled(\.rawValue) }
}

extension Wording: ExpressibleByStringInterpolation {
  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text = Wording("")

    package init(literalCapacity: Int, interpolationCount: Int) {}

    package mutating func appendLiteral(_ literal: String) { text.append(.text(literal)) }

    public mutating func appendInterpolation(_ need: Need) { text.append(.need(need)) }

    public mutating func appendInterpolation(_ wording: Wording) { text = text + wording }

    public mutating func appendInterpolation(_ value: some CustomStringConvertible) {
      text.append(.text(value.description))
    }
  }

  package init(stringInterpolation: StringInterpolation) { self = stringInterpolation.text }

  package init(stringLiteral text: String) { self.init(text) }
}
