public import ArgumentParser
internal import Bytes

/// Facts every tool shares.
public enum Toolkit {
  /// What `--version` prints.
  public static let version = "0.1.0"
}

/// A command of one of the tools.
///
/// It declares its options, does its work in `execute` and throws what stops it: a
/// `MigrationError`, or ArgumentParser's `ValidationError` for a wrong use that only shows at run
/// time. `ToolEntry` turns either into a message and an exit status.
public protocol ToolCommand: ParsableCommand {
  var common: CommonOptions { get }
  /// Whether results and refusals are wanted as JSON. False unless the command offers it.
  var wantsJSON: Bool { get }
  /// Does the work. Results go to `console.write`, everything else to its other methods.
  func execute(_ console: Console) throws
}

extension ToolCommand {
  public var wantsJSON: Bool { false }

  /// Runs the command without the error handling of `ToolEntry`.
  public func run() throws {
    try execute(Console(tool: Self._commandName, common: common, wantsJSON: wantsJSON))
  }
}

/// Options of every tool.
public struct CommonOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Say nothing but refusals and failures.")
  public var quiet = false

  @Flag(name: .shortAndLong, help: "Say more of what is done.")
  public var verbose = false

  public init() {}

  public func validate() throws {
    guard !(quiet && verbose) else {
      throw ValidationError("--quiet and --verbose exclude each other.")
    }
  }
}

/// The option of tools that make files.
public struct OutputOptions: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Replace an output that exists.")
  public var force = false

  public init() {}
}
