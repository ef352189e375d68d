internal import Errors
internal import SystemPackage

/// `path` as a message shows it: on one line, whatever bytes the name holds.
func displayName(_ path: String) -> String {
  var shown = ""
  for scalar in path.unicodeScalars {
    if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) {
      shown += "\\x\(String(scalar.value, radix: 16))"
    } else {
      shown.unicodeScalars.append(scalar)
    }
  }
  return shown
}

extension MigrationError {
  /// What a system call refused: `verb NAME: reason`, with the reason in strerror's words.
  init(
    _ code: ErrorCode, _ verb: String, _ name: String, _ reason: Errno, at offset: UInt64? = nil
  ) {
    self.init(code, "\(verb) \(name): \(reason.description)", at: offset)
  }
}
