internal import CLinux
package import Errors
internal import Glibc

/// Runs programs to their end, with an empty standard input.
package enum ChildProcess {
  /// - Parameters:
  ///   - words: path of the program, then its arguments.
  ///   - folder: where it runs; nil for the folder of this process.
  ///   - output: absolute path of the file that takes its standard output.
  ///   - errors: the same for its standard error; nil for the file of its standard output.
  /// - Returns: its exit status, or 128 plus the number of the signal that ended it.
  /// - Throws: `OUTPUT-CREATE` when it cannot be started.
  package static func run(
    _ words: [String], in folder: String? = nil, output: String, errors: String? = nil
  ) throws(MigrationError) -> Int32 {
    var process: pid_t = 0
    let error = spawn(words, in: folder, output: output, errors: errors, &process)
    guard error == 0 else {
      throw MigrationError(
        .outputCreate, "cannot start \(displayName(words[0]))", got: "errno \(error)")
    }
    var status: Int32 = 0
    // `status` is a local variable, and is written before the call returns.
    while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
  }

  // Every pointer is used only during its call, as posix_spawn(3) requires.
  private static func spawn(
    _ words: [String], in folder: String?, output: String, errors: String?,
    _ process: inout pid_t
  ) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    let created = O_WRONLY | O_CREAT | O_TRUNC
    unsafe posix_spawn_file_actions_addopen(&actions, 1, output, created, 0o600)
    if let errors {
      unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, created, 0o600)
    } else {
      unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    }
    if let folder { unsafe posix_spawn_file_actions_addchdir_np(&actions, folder) }
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
    unsafe arguments.append(nil)
    defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
    return unsafe posix_spawn(&process, words[0], &actions, nil, arguments, environ)
  }
}

/// Command lines of `/bin/sh`.
package enum ShellCommand {
  /// Runs `line`. Its standard output and standard error go to the file `output`.
  /// - Returns: its exit status, or 128 plus the number of the signal that ended it.
  /// - Throws: `OUTPUT-CREATE` when the shell cannot be started.
  package static func run(_ line: String, output: String) throws(MigrationError) -> Int32 {
    try ChildProcess.run(["/bin/sh", "-c", line], output: output)
  }

  /// `word` quoted so that the shell reads it as one word.
  package static func quoted(_ word: String) -> String {
    "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
      + "'"
  }
}
