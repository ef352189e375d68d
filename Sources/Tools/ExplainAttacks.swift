/// Recipes and attacks.
extension Explanation {
  static let recipeSyntax = Explanation(
    meaning: "a line of a recipe is none that vectors.md describes",
    causes: [
      "a typing error", "a recipe for a newer version", "an edit of bytes behind a repair",
    ],
    remedy: "the message names the line")

  static let recipePlace = Explanation(
    meaning: "a recipe names a place that the stream has not, or that an earlier line has cut out",
    causes: [
      "the stream has fewer such records than the recipe thinks",
      "the bytes were cut or taken apart by a line before",
    ],
    remedy: "choose another stream, or another place")

  static let attackNeeds = Explanation(
    meaning: "an attack needs what was not given, or what the stream has not",
    causes: [
      "no --second, --instance or --offer was given",
      "a stream with one epoch, without a service, or without shared pages",
    ],
    remedy: "give what is missing, or choose another stream")

  static let vectorSyntax = Explanation(
    meaning:
      "a file of vectors is none that vectors.md describes: an unknown key, code or subject, a missing one, a recipe that is none; or --against names what a vector has not",
    causes: ["a typing error", "a vector for a newer version", "a folder that holds no vectors"],
    remedy: "the message names file and line")
}
