import Cryptography
import Errors
import TestSupport
import Testing

func certificate(_ path: String) throws -> X509Certificate {
  try X509Certificate(der: Fixture.read(path))
}

/// Runs the `openssl` command; in `line`, `@name` is a path in `scratch`.
func openssl(_ line: String, in scratch: Scratch) throws -> Program.Outcome {
  try #require(Program.run(["openssl"] + scratch.words(line)))
}

/// What `body` refuses.
func refusal(_ body: () throws -> Void) -> MigrationError? {
  do {
    try body()
  } catch {
    return error as? MigrationError
  }
  return nil
}
