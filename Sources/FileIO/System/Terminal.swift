internal import Glibc
internal import SystemPackage

/// The three streams a process starts with.
package enum StandardStream: Sendable {
  case input, output, error

  var descriptor: FileDescriptor {
    switch self {
    case .input: .standardInput
    case .output: .standardOutput
    case .error: .standardError
    }
  }

  /// Takes the place of each standard stream this process was started without, so that no file
  /// opened later gets its number and is read or written in its stead. Using a stream that was
  /// closed is an error as before. To be called before anything is opened.
  package static func occupyClosed() {
    for descriptor in [FileDescriptor.standardInput, .standardOutput, .standardError]
    where fcntl(descriptor.rawValue, F_GETFD) == -1 {
      // The lowest free number is taken: this one. It is opened for what it is not used for.
      let mode: FileDescriptor.AccessMode = descriptor == .standardInput ? .writeOnly : .readOnly
      _ = try? FileDescriptor.open("/dev/null", mode)
    }
  }

  /// Whether a person is at the other end: isatty(3).
  package var isTerminal: Bool { FileIO.isTerminal(descriptor) }

  /// Writes a message as far as that is possible. Nothing is reported: there is no better place
  /// for a message that standard error does not take.
  package func say(_ text: String) {
    _ = try? descriptor.writeAll(text.utf8)
  }
}

func isTerminal(_ descriptor: FileDescriptor) -> Bool { isatty(descriptor.rawValue) == 1 }
