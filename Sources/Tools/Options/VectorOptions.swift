internal import ArgumentParser
package import Attacks

/// How `svsm-mig-verify` runs vectors (`Formats/vectors.md`) instead of verifying a stream.
struct VectorOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Run every vector in this folder, and check that each is refused or accepted as it states.",
      discussion: "Exit status 1 when one is not.", valueName: "folder"),
    completion: .directory)
  var vectors: String?

  @Option(
    help: ArgumentHelp(
      "Run the vectors against another program: a shell command, with {} for the file.",
      discussion: """
        Also {instance}, {offer}, {trust} and others of Formats/vectors.md. A status other than 0 is \
        a refusal.
        """,
      valueName: "command"))
  var against: String?

  @Option(
    help: ArgumentHelp(
      "Run vectors of this subject only (may be repeated); with --against stream by default.",
      valueName: "subject"))
  var subject: [Vector.Subject] = []

  @Flag(help: "Run also the tool calls in vectors: they are shell commands.")
  var commands = false

  func validate() throws {
    guard vectors != nil || against == nil && subject.isEmpty && !commands else {
      throw ValidationError("--against, --subject and --commands belong to --vectors.")
    }
    guard against == nil || !commands else {
      throw ValidationError("--commands runs our tools, --against another program.")
    }
  }
}

extension Vector.Subject: ExpressibleByArgument {}
