package import Errors

/// One way in which a hostile host, or a lying source, attacks a migration: a recipe with a name,
/// the threats that it represents, and the required outcome.
package struct Attack: Sendable {
  /// The subject of the attack.
  package enum Subject: String, Sendable {
    /// A stream: a destination must refuse it.
    case stream
    /// A destination's offer: a source must refuse it.
    case offer
    /// A source's instance: it must refuse to save.
    case source
  }

  /// The destination that loads the stream.
  package enum Target: String, Sendable {
    /// The destination of the stream, in its first load.
    case destination
    /// The destination of the stream, which has loaded it already.
    case used
    /// Another destination.
    case other
  }

  package let name: String
  /// Numbers of rows in the threat table, `Formats/threats.md`.
  package let threats: [Int]
  /// What is done, as one clause.
  package let summary: String
  /// The text of the recipe (`Formats/vectors.md`).
  package let text: String
  package let subject: Subject
  package let target: Target
  /// Whether it is an attack only in a stream of one epoch: between two epochs the guest itself may
  /// do the same.
  package let needsOneEpoch: Bool
  /// Whether a destination that accepts sources without proof accepts it, which is the one
  /// documented exception.
  package let passesOneWay: Bool
  /// The required outcome.
  package let plain: Expectation
  /// The required outcome when the host then repairs everything that needs no key, and seals with a
  /// key of its own; nil when that makes no difference, or when the recipe itself states what is
  /// repaired.
  package let mended: Expectation?

  init(
    _ name: String, _ threats: [Int], _ summary: String, _ text: String,
    subject: Subject = .stream, target: Target = .destination, needsOneEpoch: Bool = false,
    passesOneWay: Bool = false, plain: Expectation, mended: Expectation? = nil
  ) {
    (self.name, self.threats, self.summary, self.text) = (name, threats, summary, text)
    (self.subject, self.target) = (subject, target)
    (self.needsOneEpoch, self.passesOneWay) = (needsOneEpoch, passesOneWay)
    (self.plain, self.mended) = (plain, mended)
  }

  /// The attack's recipe.
  /// - Parameter isMended: whether the host repairs what it can afterwards, unless the recipe
  ///   itself states what is repaired.
  /// - Throws: `RECIPE-SYNTAX` when the catalogue has an error.
  package func recipe(mended isMended: Bool = false) throws(MigrationError) -> Recipe {
    let plain = try Recipe(parsing: text)
    return isMended && !plain.mends ? try Recipe(parsing: text + "\nrepair resign") : plain
  }

  /// The materials that it needs in addition to the stream: "second stream", "instance", "offer".
  package var needs: [String] {
    guard let recipe = try? recipe() else { return [] }
    var needs: [String] = []
    if recipe.needsSecond { needs.append("second stream") }
    if recipe.forges { needs.append("instance") }
    if recipe.needsOffer { needs.append("offer") }
    return needs
  }

  /// Every attack, in the order of the catalogue.
  package static let all: [Attack] =
    flips + pages + finals + borders + lengths + hosts + rogueReports + rogueRecords + offers

  /// The attack with this name; nil when there is none.
  package static func named(_ name: String) -> Attack? { all.first { $0.name == name } }
}
