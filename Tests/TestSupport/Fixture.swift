private import Glibc

/// Files below `Fixtures` of this repository.
public enum Fixture {
  /// A path to hand to programs: the repository this file is in, then `Fixtures/<name>`.
  public static func path(_ name: String) -> String {
    let folders = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    return folders.joined(separator: "/") + "/Fixtures/" + name
  }

  /// The whole file; one whose name ends in `.xz` is unpacked. Nil when it cannot be read.
  public static func read(_ name: String) -> [UInt8]? {
    let tool = name.hasSuffix(".xz") ? ["xz", "-dc"] : ["cat"]
    guard let outcome = Program.run(tool + [path(name)]), outcome.status == 0 else { return nil }
    return outcome.output
  }

  /// SHA-256 by the system's own `sha256sum`, in hex. Nil when it could not be run.
  public static func sha256(of bytes: [UInt8]) -> String? {
    var template = Array("/tmp/svsm-test-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&template)
    guard descriptor >= 0 else { return nil }
    let name = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    defer { unsafe unlink(name) }
    // The array's own storage, written while it is borrowed.
    let written = unsafe bytes.withUnsafeBytes {
      unsafe write(descriptor, $0.baseAddress, $0.count)
    }
    close(descriptor)
    guard written == bytes.count, let outcome = Program.run(["sha256sum", name]) else {
      return nil
    }
    return String(decoding: outcome.output.prefix(64), as: UTF8.self)
  }
}
