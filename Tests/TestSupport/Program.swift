private import Glibc
private import Synchronization

/// A program that tests run: `xz`, `sha256sum`, one of ours.
package struct Program {
  /// What a finished run left.
  package struct Outcome: Sendable {
    /// Exit status, or 128 + the signal that ended it.
    package var status: Int32
    /// Standard output, where it was collected.
    package var output: [UInt8]
    /// Standard error.
    package var errors: String

    /// Standard output as text.
    package var text: String { String(decoding: output, as: UTF8.self) }
  }

  /// Where a program's standard output goes.
  package enum Output: Sendable {
    case collected
    case file(String)
    /// A pipe whose reader is gone already.
    case closedPipe
  }

  /// Where one of our own tools is: beside the test runner.
  package static func tool(_ name: String) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer.prefix(max(0, count)).map(UInt8.init), as: UTF8.self)
    return path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/") + "/" + name
  }

  /// Runs a program to its end.
  /// - Parameters:
  ///   - arguments: its name, looked up in PATH, then its arguments.
  ///   - input: file that is its standard input.
  /// - Returns: nil when it could not be started.
  package static func run(
    _ arguments: [String], input: String = "/dev/null", output: Output = .collected
  ) -> Outcome? {
    guard let child = Child(arguments, input: .path(input), output: output) else { return nil }
    return child.finish()
  }

  /// SHA-256 of a file by the system's own `sha256sum`, in hex.
  package static func sha256(of path: String) throws -> String {
    guard let outcome = run(["sha256sum", path]), outcome.status == 0 else {
      throw SupportFailure(description: "sha256sum fails on \(path)")
    }
    return String(outcome.text.prefix(64))
  }

  /// Runs two programs, the output of the first being the input of the second.
  /// - Returns: nil when one could not be started.
  package static func pipe(
    _ first: [String], into second: [String]
  ) -> (first: Outcome, second: Outcome)? {
    guard let between = Child.makePipe() else { return nil }
    let reader = Child(second, input: .descriptor(between.read), output: .collected)
    close(between.read)
    let writer = Child(first, input: .path("/dev/null"), descriptor: between.write)
    close(between.write)
    guard let reader, let writer else { return nil }
    let end = reader.finish()
    return (writer.finish(), end)
  }
}

/// A running program.
private struct Child {
  enum Input {
    case path(String)
    case descriptor(Int32)
  }

  /// Held while a pipe is made and while a program is started: a program started by a test that
  /// runs at the same time must not inherit an end of the pipe and hold it open.
  private static let starting = Mutex(())

  private let process: pid_t
  /// What is read from its standard output; -1 when that goes elsewhere.
  private let reading: Int32
  private let errors: Int32

  init?(_ arguments: [String], input: Input, output: Program.Output) {
    switch output {
    case .file(let path):
      let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      guard file >= 0 else { return nil }
      defer { close(file) }
      self.init(arguments, input: input, descriptor: file)
    case .collected, .closedPipe:
      guard let ends = Child.makePipe() else { return nil }
      defer { close(ends.write) }
      if case .closedPipe = output { close(ends.read) }
      let reading: Int32 = if case .collected = output { ends.read } else { -1 }
      self.init(arguments, input: input, descriptor: ends.write, reading: reading)
    }
  }

  init?(_ arguments: [String], input: Input, descriptor: Int32, reading: Int32 = -1) {
    var template = Array("/tmp/svsm-test-XXXXXX".utf8CString)
    errors = unsafe mkstemp(&template)
    guard errors >= 0 else { return nil }
    unsafe unlink(&template)
    self.reading = reading
    let errors = errors
    let child = Child.starting.withLock { _ in
      Child.spawn(arguments, input: input, output: descriptor, errors: errors)
    }
    guard let child else { return nil }
    process = child
  }

  /// Both ends are closed in every program started; what one is to have is given to it by number.
  static func makePipe() -> (read: Int32, write: Int32)? {
    starting.withLock { _ in
      var ends: [Int32] = [-1, -1]
      guard unsafe Glibc.pipe(&ends) == 0 else { return nil }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      return (ends[0], ends[1])
    }
  }

  func finish() -> Program.Outcome {
    let output = reading >= 0 ? contents(of: reading) : []
    if reading >= 0 { close(reading) }
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    lseek(errors, 0, SEEK_SET)
    defer { close(errors) }
    return Program.Outcome(
      status: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: output,
      errors: String(decoding: contents(of: errors), as: UTF8.self))
  }

  // Every pointer below lives for its call only, as posix_spawn(3) wants it.
  private static func spawn(
    _ arguments: [String], input: Input, output: Int32, errors: Int32
  ) -> pid_t? {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    switch input {
    case .path(let path): unsafe posix_spawn_file_actions_addopen(&actions, 0, path, O_RDONLY, 0)
    case .descriptor(let end): unsafe posix_spawn_file_actions_adddup2(&actions, end, 0)
    }
    unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
    unsafe words.append(nil)
    defer { for index in unsafe words.indices { unsafe free(words[index]) } }
    var child: pid_t = 0
    let result = unsafe posix_spawnp(&child, arguments[0], &actions, nil, words, environ)
    return result == 0 ? child : nil
  }
}
