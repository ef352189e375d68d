package import ArgumentParser
package import Errors
internal import FileIO
internal import Import
internal import JSON
package import SEVSNP

/// The option `--policy`: demands on an attestation report beyond those of every migration.
package struct PolicyOption: ParsableArguments {
  @Option(
    name: .customLong("policy"),
    help: ArgumentHelp(
      "Apply this policy (JSON) to each attestation report that is checked.",
      discussion: "Formats/policy.md lists its keys. - is standard input, where no other input is.",
      valueName: "policy"),
    completion: .file(extensions: ["json"]))
  package var path: String?

  package init() {}

  /// The policy. Without the option it demands nothing.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; `POLICY-SYNTAX`.
  package func load() throws(MigrationError) -> AttestationPolicy {
    try AttestationPolicy(inFile: path)
  }

  /// Refuses a policy from standard input when another input is read from there.
  func validate(beside inputs: [String?]) throws {
    guard path != "-" || !inputs.contains("-") else {
      throw ValidationError("Only one input can come from standard input.")
    }
  }
}
