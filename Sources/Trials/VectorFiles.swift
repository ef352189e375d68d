internal import Attacks
internal import Cryptography
internal import Errors
internal import FileIO
internal import Import
internal import SEVSNP
internal import Wire

/// The files of one vector, in a folder that is removed with this object.
final class VectorFiles {
  let scratch: ScratchFolder
  private let vector: Vector
  private let fixtures: VectorFixtures

  /// - Throws: errors of the recipe; `INPUT-OPEN` for a missing fixture; `OUTPUT-CREATE`,
  ///   `IO-READ`, `IO-WRITE`.
  init(_ vector: Vector, _ fixtures: VectorFixtures) throws(MigrationError) {
    (self.vector, self.fixtures) = (vector, fixtures)
    scratch = try ScratchFolder()
    try vector.make(
      from: { (path) throws(MigrationError) in try fixtures.open(path) },
      to: scratch.output("subject"))
  }

  /// Largest size in bytes of a vector's file that is read as a whole: one that is not a stream.
  private static let smallLimit = 1 << 20

  /// The content of the vector's file, which is no stream.
  /// - Throws: `INPUT-KIND` when it is larger than such a file may be; `IO-READ`.
  func content() throws(MigrationError) -> [UInt8] {
    let file = try InputFile(subject, .regular)
    let size = try file.regularSize()
    guard size <= UInt64(Self.smallLimit) else {
      throw MigrationError(
        .inputKind, "\(vector.subject.rawValue) is too long", in: .file("{}"),
        expected: "at most \(Self.smallLimit) bytes", got: "\(size)")
    }
    return try file.readAll(limit: Self.smallLimit)
  }

  /// Path of the vector's file.
  var subject: String { scratch.path("subject") }

  /// Paths of the fixtures that `key` names; packed ones are unpacked first.
  func paths(_ key: Vector.Key) throws(MigrationError) -> [String] {
    var paths: [String] = []
    for (index, name) in (vector.paths[key] ?? []).enumerated() {
      guard name.hasSuffix(".xz") else {
        paths.append(try fixtures.path(name))
        continue
      }
      let unpacked = "\(key.rawValue)-\(index)"
      try fixtures.open(name).write(to: scratch.output(unpacked))
      paths.append(scratch.path(unpacked))
    }
    return paths
  }

  /// The one fixture that `key` names.
  /// - Throws: `VECTOR-SYNTAX` when there is none.
  func path(_ key: Vector.Key) throws(MigrationError) -> String {
    guard let path = try paths(key).first else {
      throw MigrationError(
        .vectorSyntax, "a \(vector.subject.rawValue) needs \(key.rawValue)")
    }
    return path
  }

  /// `error` with the path of a file of this folder replaced by the form that vectors use: `{}`,
  /// `{channel}`.
  func named(_ error: MigrationError) -> MigrationError {
    let folder = scratch.path("x").dropLast()
    guard let path = error.place?.name, path.hasPrefix(folder) else { return error }
    let name = path.dropFirst(folder.count).prefix { $0 != "-" }
    var named = error
    named.place = .file(name == "subject" ? "{}" : "{\(name)}")
    return named
  }

  /// AMD's roots and those that the vector names.
  func anchors() throws(MigrationError) -> [TrustAnchor] {
    try TrustAnchor.anchors(namedIn: paths(.trust))
  }

  /// The revocation lists that the vector names.
  func revocationLists() throws(MigrationError) -> [X509RevocationList] {
    try X509RevocationList.lists(inFiles: paths(.crl))
  }

  /// The vector's policy; without one, a policy that demands nothing.
  func policy() throws(MigrationError) -> AttestationPolicy {
    try AttestationPolicy(inFile: paths(.policy).first)
  }

  /// `line` with the words in braces replaced by their values, quoted for the shell.
  /// - Throws: `VECTOR-SYNTAX` when it names a key that the vector does not have.
  func filled(_ line: String) throws(MigrationError) -> String {
    var text = ""
    var rest = line[...]
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      text += rest[..<open]
      let name = rest[rest.index(after: open)..<close]
      text += try value(of: String(name)) ?? "{\(name)}"
      rest = rest[rest.index(after: close)...]
    }
    return text + rest
  }

  /// The value for a word in braces.
  /// - Returns: nil for a word that is not defined here.
  private func value(of name: String) throws(MigrationError) -> String? {
    switch name {
    case "": return ShellCommand.quoted(subject)
    case "name": return ShellCommand.quoted(vector.name)
    case "output": return ShellCommand.quoted(scratch.path("output"))
    case "fixtures": return ShellCommand.quoted(fixtures.folder)
    default: break
    }
    guard let key = Vector.Key(rawValue: name), key.isPath else { return nil }
    if key == .policy, vector.paths[key] == nil {
      // This lets one line be run for vectors with and without a policy.
      try scratch.write("policy", Array(#"{"schema": "\#(AttestationPolicy.schema)"}"#.utf8))
      return ShellCommand.quoted(scratch.path("policy"))
    }
    _ = try path(key)
    return try paths(key).map(ShellCommand.quoted).joined(separator: " ")
  }
}
