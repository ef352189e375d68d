internal import Glibc
internal import SystemPackage

/// The three streams a process starts with.
public enum StandardStream: Sendable {
  case input, output, error

  var descriptor: FileDescriptor {
    switch self {
    case .input: .standardInput
    case .output: .standardOutput
    case .error: .standardError
    }
  }

  /// Whether a person is at the other end: isatty(3).
  public var isTerminal: Bool { FileIO.isTerminal(descriptor) }

  /// Writes a message as far as that is possible. Nothing is reported: there is no better place
  /// for a message that standard error does not take.
  public func say(_ text: String) {
    _ = try? descriptor.writeAll(text.utf8)
  }
}

func isTerminal(_ descriptor: FileDescriptor) -> Bool { isatty(descriptor.rawValue) == 1 }
