/// Recipes, attacks, vectors and scenarios.
extension CodeRow {
  static let attacks = [
    CodeRow(
      .recipeSyntax, .vectors("1"), meaning: "a line of a recipe is not in the form of vectors.md",
      causes: [
        "a typing error",
        "a recipe for a newer version",
        "an edit of bytes after a repair",
      ],
      remedy: "the message names the line"),
    CodeRow(
      .recipePlace, .vectors("2"),
      meaning:
        "a recipe names a place that is not in the stream, or that an earlier line cut out",
      causes: [
        "the stream has fewer such records than the recipe expects",
        "an earlier line cut or split the bytes",
      ],
      remedy: "choose another stream, or another place"),
    CodeRow(
      .attackNeeds, .tools("6"),
      meaning: "an attack needs an input that was not given, or a record that the stream lacks",
      causes: [
        "no \(.second), \(.instance) or \(.offer) was given",
        "a stream with one epoch, without a service, or without shared pages",
      ],
      remedy: "give the missing input, or choose another stream"),
    CodeRow(
      .vectorSyntax, .vectors("5"),
      meaning: """
        a file of vectors is not in the form of vectors.md: an unknown key, code or subject, a \
        missing one, an invalid recipe; or \(.program) names a file that a vector lacks
        """,
      causes: ["a typing error", "a vector for a newer version", "a folder that holds no vectors"],
      remedy: "the message names file and line"),
    CodeRow(
      .goldenSyntax, .diff("5"),
      meaning: "a scenario of golden files is not in the form of diff.md, or a folder has none",
      causes: ["a typing error", "a file that lies outside the folder of scenarios"],
      remedy: "the message names file and line"),
  ]
}
