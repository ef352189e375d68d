package import Errors
internal import Glibc

/// Runs a command line of `/bin/sh` to its end.
package enum ShellCommand {
  /// Runs `line`. Its standard input is empty; its standard output and standard error go to the
  /// file `output`.
  /// - Returns: its exit status, or 128 plus the number of the signal that ended it.
  /// - Throws: `OUTPUT-CREATE` when the shell cannot be started.
  package static func run(_ line: String, output: String) throws(MigrationError) -> Int32 {
    var process: pid_t = 0
    let error = spawn(["/bin/sh", "-c", line], output: output, &process)
    guard error == 0 else {
      throw MigrationError(.outputCreate, "cannot start /bin/sh", got: "errno \(error)")
    }
    var status: Int32 = 0
    // `status` is a local variable, and is written before the call returns.
    while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
  }

  /// `word` quoted so that the shell reads it as one word.
  package static func quoted(_ word: String) -> String {
    "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
      + "'"
  }

  // Every pointer is used only during its call, as posix_spawn(3) requires.
  private static func spawn(
    _ arguments: [String], output: String, _ process: inout pid_t
  ) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(
      &actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
    unsafe words.append(nil)
    defer { for index in unsafe words.indices { unsafe free(words[index]) } }
    return unsafe posix_spawn(&process, arguments[0], &actions, nil, words, environ)
  }
}
