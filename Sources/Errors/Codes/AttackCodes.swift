/// Recipes, attacks and vectors.
extension CodeRow {
  static let attacks = [
    CodeRow(
      .recipeSyntax, .vectors("1"), meaning: "a line of a recipe is none that vectors.md describes",
      causes: [
        "a typing error",
        "a recipe for a newer version",
        "an edit of bytes behind a repair",
      ],
      remedy: "the message names the line"),
    CodeRow(
      .recipePlace, .vectors("2"),
      meaning:
        "a recipe names a place that the stream has not, or that an earlier line has cut out",
      causes: [
        "the stream has fewer such records than the recipe thinks",
        "the bytes were cut or taken apart by a line before",
      ],
      remedy: "choose another stream, or another place"),
    CodeRow(
      .attackNeeds, .tools("6"),
      meaning: "an attack needs what was not given, or what the stream has not",
      causes: [
        "no \(.second), \(.instance) or \(.offer) was given",
        "a stream with one epoch, without a service, or without shared pages",
      ],
      remedy: "give what is missing, or choose another stream"),
    CodeRow(
      .vectorSyntax, .vectors("5"),
      meaning: """
        a file of vectors is none that vectors.md describes: an unknown key, code or subject, a \
        missing one, a recipe that is none; or \(.program) names what a vector has not
        """,
      causes: ["a typing error", "a vector for a newer version", "a folder that holds no vectors"],
      remedy: "the message names file and line"),
  ]
}
