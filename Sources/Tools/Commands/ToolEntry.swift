package import ArgumentParser
internal import Errors
internal import FileIO
internal import Glibc
internal import Wire

/// The entry point of every tool.
///
/// Exit statuses, after `sysexits.h`: 0 done, 64 usage error, 65 the input was refused, 66 an input
/// cannot be opened, 70 a bug in the tool, 73 an output cannot be made, 74 reading or writing
/// failed.
package enum ToolEntry {
  /// Parses the arguments of this process, runs the command and ends the process.
  package static func main(_ root: any ParsableCommand.Type) -> Never {
    StandardStream.occupyClosed()
    ProcessLimits.forbidCoreDumps()
    ProcessLimits.allowManyFiles()
    ProcessLimits.returnFreedMemory()
    // Later there would be threads, which a child does not inherit.
    if CommandLine.arguments.contains("--live") { ProcessLimits.goOnInChild() }
    TerminationCleanup.install()
    do {
      exit(run(root, arguments: try arguments()))
    } catch {
      exit(report(error, of: root))
    }
  }

  /// The arguments of this process. An argument that is not UTF-8 would be changed by conversion to
  /// a string, and so name another file.
  /// - Throws: `ValidationError` for such an argument.
  private static func arguments() throws -> [String] {
    var arguments: [String] = []
    for index in 1..<max(1, Int(CommandLine.argc)) {
      // The C strings of the arguments live as long as the process.
      guard let argument = unsafe CommandLine.unsafeArgv[index] else { break }
      guard let text = unsafe String(validatingCString: argument) else {
        let shown = unsafe String(cString: argument)
        throw ValidationError("Argument \(index) is not UTF-8: \(shown)")
      }
      arguments.append(text)
    }
    return arguments
  }

  private static func run(_ root: any ParsableCommand.Type, arguments: [String]) -> Int32 {
    var command: any ParsableCommand
    do {
      command = try root.parseAsRoot(arguments)
      try RepeatedOptions.refuse(arguments, of: type(of: command))
    } catch {
      return report(error, of: root)
    }
    guard let tool = command as? any ToolCommand else {
      do {
        try command.run()
        return 0
      } catch {
        return report(error, of: root)
      }
    }
    let console = Console(
      tool: root._commandName, common: tool.common, wantsJSON: tool.wantsJSON)
    do {
      defer { console.endProgress() }
      try tool.execute(console)
      return 0
    } catch let error as MigrationError {
      return console.report(error)
    } catch let status as ExitCode {
      // The command has already printed its message.
      return status.rawValue
    } catch {
      return report(error, of: type(of: tool))
    }
  }

  /// Prints the message of ArgumentParser: help, version, or a usage error.
  private static func report(_ error: any Error, of command: any ParsableCommand.Type) -> Int32 {
    let status = command.exitCode(for: error).rawValue
    let message = command.fullMessage(for: error)
    guard status == 0 else {
      // The message quotes arguments, whose control characters must be escaped.
      let lines = message.split(separator: "\n", omittingEmptySubsequences: false)
        .map { RenderedText.printable(String($0)) }
      StandardStream.error.say(lines.joined(separator: "\n") + "\n")
      return status
    }
    do {
      try StandardStream.endingWithReader { () throws(MigrationError) in
        try OutputFile("-", content: .text).write(text: message + "\n")
      }
      return 0
    } catch {
      StandardStream.error.say(
        "\(command._commandName): failed \(RenderedText.printable(error.spelled))\n")
      return error.code.exitStatus
    }
  }
}
