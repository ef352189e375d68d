internal import Errors
internal import SystemPackage

/// `path` as messages show it: control characters are escaped, so that it is always on one line.
func displayName(_ path: String) -> String {
  var shown = ""
  for scalar in path.unicodeScalars {
    if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) {
      shown += (scalar.value < 0x10 ? "\\x0" : "\\x") + String(scalar.value, radix: 16)
    } else {
      shown.unicodeScalars.append(scalar)
    }
  }
  return shown
}

extension MigrationError {
  /// The error of a failed system call, with the message `verb NAME: reason`, where the reason is
  /// in the words of strerror(3).
  init(
    _ code: ErrorCode, _ verb: String, _ name: String, _ reason: Errno, at offset: UInt64? = nil
  ) {
    self.init(code, "\(verb) \(name): \(reason.description)", at: offset)
  }
}
