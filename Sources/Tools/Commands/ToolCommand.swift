package import ArgumentParser
internal import Errors
internal import JSON

/// Facts that all tools share.
package enum Toolkit {
  /// The output of `--version`.
  package static let version = "0.1.0"
}

/// A command of one of the tools.
///
/// It declares its options, does its work in `execute`, and throws on failure: a `MigrationError`,
/// or ArgumentParser's `ValidationError` for wrong usage that is detected only at run time.
/// `ToolEntry` turns either into a message and an exit status.
package protocol ToolCommand: ParsableCommand {
  var common: CommonOptions { get }
  /// Whether results and refusals are printed as JSON. False unless the command has such an option.
  var wantsJSON: Bool { get }
  /// Does the work. Results go to `console.write`, everything else to its other methods.
  func execute(_ console: Console) throws
}

extension ToolCommand {
  package var wantsJSON: Bool { false }

  /// Runs the command without the error handling of `ToolEntry`.
  package func run() throws {
    try execute(Console(tool: Self._commandName, common: common, wantsJSON: wantsJSON))
  }
}

/// The options that every tool has.
package struct CommonOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Print errors only, and JSON where --json asks for it.")
  package var quiet = false

  @Flag(name: .shortAndLong, help: "Print more details.")
  package var verbose = false

  package init() {}

  package func validate() throws {
    guard !(quiet && verbose) else {
      throw ValidationError("--quiet and --verbose exclude each other.")
    }
  }
}

/// The option of tools that make files.
package struct OutputOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Replace an output that exists.")
  package var force = false

  package init() {}
}
