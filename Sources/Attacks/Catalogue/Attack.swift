package import Errors

/// One way in which a hostile host, or a source that lies, goes against a migration: a recipe with a
/// name, the threats it stands for, and what must come of it.
package struct Attack: Sendable {
  /// What is attacked.
  package enum Subject: String, Sendable {
    /// A stream: a destination is to refuse it.
    case stream
    /// A destination's offer: a source is to refuse it.
    case offer
    /// A source's instance: it is to refuse to serve.
    case source
  }

  /// Which destination is to load the stream.
  package enum Target: String, Sendable {
    /// The one it is for, which has served nobody yet.
    case destination
    /// The one it is for, which has loaded it already.
    case used
    /// Another one.
    case other
  }

  package let name: String
  /// Rows of the threat table, `Formats/threats.md`.
  package let threats: [Int]
  /// What is done: one clause.
  package let summary: String
  /// The recipe (`Formats/vectors.md`).
  package let text: String
  package let subject: Subject
  package let target: Target
  /// Whether it is one in a stream of one epoch only: between two a guest may itself do what it says.
  package let needsOneEpoch: Bool
  /// Whether a destination that takes sources without proof accepts it: the one documented exception.
  package let passesOneWay: Bool
  /// What must come of it.
  package let plain: Expectation
  /// The same when a host then mends all that needs no key, and seals with a key of its own; nil when
  /// that makes no difference, or the recipe says itself what is mended.
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
  /// - Parameter isMended: whether the host mends what it can afterwards, where the recipe does not say
  ///   that itself.
  /// - Throws: `RECIPE-SYNTAX` when the catalogue is wrong.
  package func recipe(mended isMended: Bool = false) throws(MigrationError) -> Recipe {
    let plain = try Recipe(parsing: text)
    return isMended && !plain.mends ? try Recipe(parsing: text + "\nrepair resign") : plain
  }

  /// What it needs beside the stream: "second stream", "instance", "offer".
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

  /// The attack of this name.
  package static func named(_ name: String) -> Attack? { all.first { $0.name == name } }
}
