import Bytes
import Cryptography
import FoundationEssentials
import Glibc
import SEVSNP

/// The repository's `Fixtures` directory.
let fixtures: URL = {
  var root = URL(filePath: #filePath)
  for _ in 0..<3 { root.deleteLastPathComponent() }
  return root.appending(path: "Fixtures")
}()

/// Bytes of a file below `Fixtures`.
func fixture(_ path: String) throws -> [UInt8] {
  Array(try Data(contentsOf: fixtures.appending(path: path)))
}

func certificate(_ path: String) throws -> X509Certificate {
  try X509Certificate(der: fixture(path))
}

/// Runs the `openssl` command, an argument `@NAME` being a file in
/// `directory`: exit status and what it printed.
func openssl(_ arguments: [String], in directory: URL) throws -> (status: Int32, output: String) {
  let log = directory.appending(path: "log").path
  let words =
    ["openssl"]
    + arguments.map { word in
      word.hasPrefix("@") ? directory.appending(path: String(word.dropFirst())).path : word
    }
  var process: pid_t = 0
  var actions = unsafe posix_spawn_file_actions_t()
  unsafe posix_spawn_file_actions_init(&actions)
  defer { unsafe posix_spawn_file_actions_destroy(&actions) }
  unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
  var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
  defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
  let started = unsafe posix_spawnp(&process, "openssl", &actions, nil, &pointers, environ)
  guard started == 0 else { throw MigrationError(.internal, "openssl does not start") }
  var status: Int32 = 0
  guard unsafe waitpid(process, &status, 0) == process else {
    throw MigrationError(.internal, "openssl does not end")
  }
  // Reading an empty file leaks a page in Foundation, which the leak checker would report.
  let size = try FileManager.default.attributesOfItem(atPath: log)[.size] as? Int ?? 0
  let printed = size > 0 ? try Data(contentsOf: URL(filePath: log)) : Data()
  let output = String(decoding: printed, as: UTF8.self)
  return (status >> 8 & 0xFF, output)
}

/// Calls `body` with a directory that is gone afterwards.
func withDirectory<Found>(_ body: (URL) throws -> Found) throws -> Found {
  let directory = FileManager.default.temporaryDirectory.appending(
    path: "sevsnp-\(getpid())-\(UInt64.random(in: 0...UInt64.max))")
  try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(at: directory) }
  return try body(directory)
}

/// The code `body` fails with, or nil.
func code(_ body: () throws -> Void) -> ErrorCode? {
  do {
    try body()
    return nil
  } catch {
    return (error as? MigrationError)?.code
  }
}
