package import ArgumentParser
internal import Errors
internal import FileIO
internal import Glibc
internal import Wire

/// Where every tool begins and ends.
///
/// Exit status, after `sysexits.h`: 0 done, 64 wrong use, 65 the input was refused, 66 an input
/// cannot be opened, 70 a fault of ours, 73 an output cannot be made, 74 input or output failed.
package enum ToolEntry {
  /// Parses the arguments of this process, runs the command and ends the process.
  package static func main(_ root: any ParsableCommand.Type) -> Never {
    StandardStream.occupyClosed()
    ProcessLimits.forbidCoreDumps()
    ProcessLimits.allowManyFiles()
    TerminationCleanup.install()
    do {
      exit(run(root, arguments: try arguments()))
    } catch {
      exit(report(error, of: root))
    }
  }

  /// The arguments of this process. Those that are not UTF-8 would become other names.
  /// - Throws: `ValidationError` for such a one.
  private static func arguments() throws -> [String] {
    var arguments: [String] = []
    for index in 1..<max(1, Int(CommandLine.argc)) {
      // C strings that live as long as the process.
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
      // It has said what there is to say.
      return status.rawValue
    } catch {
      return report(error, of: type(of: tool))
    }
  }

  /// Says what ArgumentParser has to say: help and version, or how the tool is used.
  private static func report(_ error: any Error, of command: any ParsableCommand.Type) -> Int32 {
    let status = command.exitCode(for: error).rawValue
    let message = command.fullMessage(for: error)
    guard status == 0 else {
      // It quotes what was given.
      let lines = message.split(separator: "\n", omittingEmptySubsequences: false)
        .map { RenderedText.printable(String($0)) }
      StandardStream.error.say(lines.joined(separator: "\n") + "\n")
      return status
    }
    do {
      try OutputFile("-", content: .text).write(text: message + "\n")
      return 0
    } catch {
      StandardStream.error.say(
        "\(command._commandName): failed \(RenderedText.printable(error.spelled))\n")
      return error.code.exitStatus
    }
  }
}
