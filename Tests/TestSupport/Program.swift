private import Glibc

/// A program that tests run: `xz`, `sha256sum`, one of ours.
public struct Program {
  /// What a finished run left.
  public struct Outcome: Sendable {
    /// Exit status, or 128 + the signal that ended it.
    public var status: Int32
    public var output: [UInt8]
  }

  /// Runs a program to its end, with empty standard input, and collects its standard output.
  /// - Parameter arguments: its name, looked up in PATH, then its arguments.
  /// - Returns: nil when it could not be started.
  public static func run(_ arguments: [String]) -> Outcome? {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return nil }
    defer { close(ends[0]) }
    guard let child = start(arguments, output: ends[1], closing: ends[0]) else {
      close(ends[1])
      return nil
    }
    close(ends[1])
    let output = readAll(ends[0])
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return Outcome(status: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: output)
  }

  // Every pointer below lives for its call only, as posix_spawn(3) wants it.
  private static func start(_ arguments: [String], output: Int32, closing: Int32) -> pid_t? {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    unsafe posix_spawn_file_actions_addclose(&actions, closing)
    var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
    unsafe words.append(nil)
    defer { for index in unsafe words.indices { unsafe free(words[index]) } }
    var child: pid_t = 0
    let result = unsafe posix_spawnp(&child, arguments[0], &actions, nil, words, nil)
    return result == 0 ? child : nil
  }

  private static func readAll(_ descriptor: Int32) -> [UInt8] {
    var output: [UInt8] = []
    while true {
      let piece = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
        let got = unsafe read(descriptor, buffer.baseAddress, 1 << 20)
        count = max(0, got)
      }
      if piece.isEmpty { return output }
      output += piece
    }
  }
}
