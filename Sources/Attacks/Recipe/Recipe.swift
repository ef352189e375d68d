package import Errors
internal import SEVSNP
internal import Wire

/// A text that tells, with one operation on each line, how to make a damaged or forged stream from
/// a valid one (`Formats/vectors.md`, "Recipes").
package struct Recipe: Sendable {
  enum Side: String, Sendable { case before, after }

  /// The bytes that a line states.
  enum Value: Sendable {
    case bytes([UInt8])
    /// A number, in as many bytes as the place has, most significant byte first.
    case number(UInt64)
    case zero, ones, random
    /// The content of another place.
    case place(PlaceSyntax, isSecond: Bool)
    /// The public key of a key pair that the attacker generated.
    case hostKey
    /// Guest-physical address of the secrets page, which only the keys reveal.
    case secretsAddress
    /// Guest-physical address of the first record of shared memory.
    case sharedAddress
    /// SHA-384 of the other destination's offer.
    case offerDigest
    /// A record of shared memory for the address of a page record.
    case sharedRecord(PlaceSyntax)
  }

  enum Operation: Sendable {
    case set(PlaceSyntax, Value)
    /// Flips the bits of a mask; with nil, one bit that the seed chooses.
    case flip(PlaceSyntax, mask: [UInt8]?)
    case add(PlaceSyntax, UInt64, isNegative: Bool)
    case cut(PlaceSyntax, count: UInt64?)
    case insert(Side, PlaceSyntax, Value)
    case copy(PlaceSyntax, isSecond: Bool, Side, PlaceSyntax, label: String?)
    case move(PlaceSyntax, Side, PlaceSyntax)
    case swap(PlaceSyntax, PlaceSyntax)
    case splice(PlaceSyntax, from: PlaceSyntax)
    case truncate(PlaceSyntax)
    case append(Value)
    case repair(Repair)
    case forge(PlaceSyntax, Value)
    case forgeMask(PlaceSyntax, [UInt8])
    /// Signs the report in an offer again, with a model chip's key.
    case signReport(chip: Int)
    /// Makes the report in an offer bind the present content of the offer.
    case bindReport
    /// Computes the checksum of an instance file again.
    case checksum
    case attack(String)
  }

  struct Line: Sendable {
    var number: Int
    var operation: Operation
  }

  let lines: [Line]

  /// Largest number of operations in one recipe.
  static let operationLimit = 4096

  /// Reads a recipe file.
  /// - Throws: `RECIPE-SYNTAX`; the section names the line.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    guard let text = String(streamSafe: bytes) else {
      throw MigrationError(.recipeSyntax, "recipe is not UTF-8")
    }
    try self.init(parsing: text)
  }

  /// Reads a recipe.
  /// - Throws: `RECIPE-SYNTAX`; the section names the line.
  package init(parsing text: String) throws(MigrationError) {
    var lines: [Line] = []
    for (index, line) in text.lines.enumerated() {
      var parser = try RecipeLine(line, number: index + 1)
      if let operation = try parser.parse() {
        // The number is limited because each operation searches the pieces that the earlier ones
        // have made.
        guard lines.count < Self.operationLimit else {
          throw MigrationError(
            .recipeSyntax, "recipe has too many operations", in: .line(index + 1),
            expected: "at most \(Self.operationLimit)")
        }
        lines.append(Line(number: index + 1, operation: operation))
      }
    }
    self.lines = lines
  }

  /// Whether it needs keys, because it simulates a rogue source.
  var forges: Bool {
    lines.contains {
      switch $0.operation {
      case .repair(.rogue), .forge, .forgeMask: true
      default: false
      }
    }
  }

  /// Whether it states itself what is repaired.
  var mends: Bool {
    lines.contains { if case .repair = $0.operation { true } else { false } } || forges
  }

  /// Whether it needs another destination's offer.
  var needsOffer: Bool {
    lines.contains { if case .set(_, .offerDigest) = $0.operation { true } else { false } }
  }

  /// Whether it needs a second stream.
  var needsSecond: Bool {
    lines.contains {
      switch $0.operation {
      case .copy(_, let isSecond, _, _, _): isSecond
      case .splice: true
      case .set(_, .place(_, let isSecond)), .insert(_, _, .place(_, let isSecond)),
        .append(.place(_, let isSecond)), .forge(_, .place(_, let isSecond)):
        isSecond
      default: false
      }
    }
  }
}

/// One line of a recipe, word by word.
private struct RecipeLine {
  private var words: ArraySlice<String>
  private let number: Int

  init(_ line: Substring, number: Int) throws(MigrationError) {
    self.number = number
    words = []
    let bytes = line.endsInCarriageReturn ? line.utf8.dropLast() : line.utf8
    let tab = UInt8(ascii: "\t")
    guard bytes.allSatisfy({ $0 >= UInt8(ascii: " ") && $0 != 0x7F || $0 == tab }) else {
      throw refusal("a control character")
    }
    let code = bytes.prefix { $0 != UInt8(ascii: "#") }
    words = code.split { $0 == UInt8(ascii: " ") || $0 == tab }.map { String(Substring($0)) }[...]
  }

  private func refusal(_ what: String, _ got: String? = nil) -> MigrationError {
    MigrationError(.recipeSyntax, what, in: .line(number), got: got)
  }

  private mutating func word(_ what: String) throws(MigrationError) -> String {
    guard let word = words.popFirst() else { throw refusal("\(what) is missing") }
    return word
  }

  private mutating func take(_ word: String) -> Bool {
    guard words.first == word else { return false }
    words.removeFirst()
    return true
  }

  private mutating func place() throws(MigrationError) -> PlaceSyntax {
    let text = try word("a place")
    guard let place = PlaceSyntax(text) else { throw refusal("not a place", text) }
    return place
  }

  /// A name for a copy: a word that can begin a place and is not the name of a kind.
  private mutating func label() throws(MigrationError) -> String {
    let text = try word("a label")
    guard let place = PlaceSyntax(text), place.base == .path([.init(name: text)]),
      !Anatomy.Kind.begins(with: text), PlaceSyntax.Part(rawValue: text) == nil
    else { throw refusal("not a label", text) }
    return text
  }

  private mutating func side() throws(MigrationError) -> Recipe.Side {
    let text = try word("before or after")
    guard let side = Recipe.Side(rawValue: text) else {
      throw refusal("neither before nor after", text)
    }
    return side
  }

  private mutating func value() throws(MigrationError) -> Recipe.Value {
    let text = try word("a value")
    switch text {
    case "zero": return .zero
    case "ones": return .ones
    case "random": return .random
    case "offer-digest": return .offerDigest
    case "host-key": return .hostKey
    case "secrets-address": return .secretsAddress
    case "shared-address": return .sharedAddress
    case "shared-record": return .sharedRecord(try place())
    case "from":
      let isSecond = take("second")
      return .place(try place(), isSecond: isSecond)
    default: break
    }
    if text.hasPrefix("text:"), text.utf8.count > 5 {
      return .bytes(Array(text.utf8.dropFirst(5)))
    }
    if text.hasPrefix("=") {
      guard let number = PlaceSyntax.number(text.dropFirst()) else {
        throw refusal("not a number", text)
      }
      return .number(number)
    }
    let digits = text.hasPrefix("hex:") ? text.dropFirst(4) : text[...]
    guard let bytes = Hex.decode(digits), !bytes.isEmpty else {
      throw refusal("not a value", text)
    }
    return .bytes(bytes)
  }

  /// The value of an option such as `count=3`; nil when the option is not next.
  private mutating func option(_ name: String) -> Substring? {
    guard let first = words.first, first.hasPrefix(name + "=") else { return nil }
    words.removeFirst()
    return first.dropFirst(name.utf8.count + 1)
  }

  mutating func parse() throws(MigrationError) -> Recipe.Operation? {
    guard let name = words.popFirst() else { return nil }
    let operation = try operation(name)
    if let rest = words.first { throw refusal("too many words", rest) }
    return operation
  }

  private func mask(_ text: Substring) throws(MigrationError) -> [UInt8] {
    guard let bytes = Hex.decode(text), bytes.contains(where: { $0 != 0 }) else {
      throw refusal("not a mask that changes anything", String(text))
    }
    return bytes
  }

  /// A number above 0.
  private func positive(
    _ digits: Substring, of text: String, or what: String
  ) throws(MigrationError) -> UInt64 {
    guard let number = PlaceSyntax.number(digits), number > 0 else { throw refusal(what, text) }
    return number
  }

  private mutating func operation(_ name: String) throws(MigrationError) -> Recipe.Operation {
    switch name {
    case "set": return .set(try place(), try value())
    case "forge":
      let place = try place()
      guard let text = option("mask") else { return .forge(place, try value()) }
      return .forgeMask(place, try mask(text))
    case "flip":
      let place = try place()
      guard let text = option("mask") else { return .flip(place, mask: [1]) }
      return .flip(place, mask: text == "?" ? nil : try mask(text))
    case "add":
      let place = try place()
      let text = try word("a number")
      let isNegative = text.hasPrefix("-")
      let number = try positive(
        isNegative ? text.dropFirst() : text[...], of: text,
        or: "not a number that changes anything")
      return .add(place, number, isNegative: isNegative)
    case "cut":
      let place = try place()
      guard let text = option("count") else { return .cut(place, count: nil) }
      return .cut(place, count: try positive(text, of: String(text), or: "not a number of bytes"))
    case "insert": return .insert(try side(), try place(), try value())
    case "copy":
      let isSecond = take("second")
      let (source, side, target) = (try place(), try side(), try place())
      let label = take("as") ? try label() : nil
      return .copy(source, isSecond: isSecond, side, target, label: label)
    case "move": return .move(try place(), try side(), try place())
    case "swap": return .swap(try place(), try place())
    case "splice":
      let place = try place()
      guard take("from"), take("second") else { throw refusal("\"from second\" is missing") }
      return .splice(place, from: try self.place())
    case "truncate":
      guard take("at") else { throw refusal("\"at\" is missing") }
      return .truncate(try place())
    case "append": return .append(try value())
    case "repair":
      if take("unsigned") { return .repair(.consistent(.none)) }
      guard take("resign") else { return .repair(.consistent(.kept)) }
      return .repair(.consistent(take("session") ? .session : .own))
    case "rogue": return .repair(.rogue(isMutual: !take("one-way")))
    case "sign":
      guard take("report") else { throw refusal("\"report\" is missing") }
      guard let chip = option("chip") else { return .signReport(chip: 0) }
      guard let number = PlaceSyntax.number(chip), number < Platform.modelChips else {
        throw refusal("no model chip", String(chip))
      }
      return .signReport(chip: Int(number))
    case "bind":
      guard take("report") else { throw refusal("\"report\" is missing") }
      return .bindReport
    case "checksum": return .checksum
    case "attack": return .attack(try word("a name"))
    default: throw refusal("no such operation", name)
    }
  }
}
