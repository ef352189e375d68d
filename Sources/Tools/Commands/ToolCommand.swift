package import ArgumentParser
internal import Errors
internal import JSON

/// Facts every tool shares.
package enum Toolkit {
  /// What `--version` prints.
  package static let version = "0.1.0"
}

/// A command of one of the tools.
///
/// It declares its options, does its work in `execute` and throws what stops it: a
/// `MigrationError`, or ArgumentParser's `ValidationError` for a wrong use that only shows at run
/// time. `ToolEntry` turns either into a message and an exit status.
package protocol ToolCommand: ParsableCommand {
  var common: CommonOptions { get }
  /// Whether results and refusals are wanted as JSON. False unless the command offers it.
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

/// Options of every tool.
package struct CommonOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Say nothing but refusals and failures.")
  package var quiet = false

  @Flag(name: .shortAndLong, help: "Say more of what is done.")
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
