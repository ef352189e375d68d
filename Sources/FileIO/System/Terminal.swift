package import Errors
internal import Glibc
internal import SystemPackage

/// The three standard streams of a process.
package enum StandardStream: Sendable {
  case input, output, error

  var descriptor: FileDescriptor {
    switch self {
    case .input: .standardInput
    case .output: .standardOutput
    case .error: .standardError
    }
  }

  /// Opens a placeholder for each standard stream without which this process was started, so that
  /// no file opened later gets its number and is read or written by mistake. Using such a stream is
  /// still an error. To be called before anything else is opened.
  package static func occupyClosed() {
    for descriptor in [FileDescriptor.standardInput, .standardOutput, .standardError]
    where fcntl(descriptor.rawValue, F_GETFD) == -1 {
      // The system assigns the lowest free number, which is this one. It is opened in the wrong
      // mode for its use, so that using it fails.
      let mode: FileDescriptor.AccessMode = descriptor == .standardInput ? .writeOnly : .readOnly
      _ = try? FileDescriptor.open("/dev/null", mode)
    }
  }

  /// Whether the stream is a terminal: isatty(3).
  package var isTerminal: Bool { FileIO.isTerminal(descriptor) }

  /// Runs `body`, which writes a result to standard output. When that is a pipe whose reader is gone the
  /// process ends by SIGPIPE, without a message, as other programs do.
  /// - Throws: what `body` throws.
  package static func endingWithReader(
    _ body: () throws(MigrationError) -> Void
  ) throws(MigrationError) {
    signal(SIGPIPE, SIG_DFL)
    defer { signal(SIGPIPE, SIG_IGN) }
    try body()
  }

  /// Writes a message as far as possible. Errors are ignored: when standard error fails, there is
  /// no other place for the message.
  package func say(_ text: String) {
    _ = try? descriptor.writeAll(text.utf8)
  }
}

func isTerminal(_ descriptor: FileDescriptor) -> Bool { isatty(descriptor.rawValue) == 1 }
