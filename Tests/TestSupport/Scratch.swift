private import FoundationEssentials
private import Glibc

/// A folder of its own for one test, removed with it.
package final class Scratch: Sendable {
  package let path: String

  package init() throws {
    path =
      FileManager.default.temporaryDirectory
      .appending(path: "svsm-migration-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { remove() }

  /// Removes the folder and all in it; for folders that live as long as the process.
  package func remove() { try? FileManager.default.removeItem(atPath: path) }

  /// The path of `name` in the folder.
  package subscript(name: String) -> String { "\(path)/\(name)" }

  /// The words of `line`, which spaces separate; `@name` is a path in the folder.
  package func words(_ line: String) -> [String] {
    line.split(separator: " ").map { $0.hasPrefix("@") ? self[String($0.dropFirst())] : "\($0)" }
  }

  /// Makes a file, or gives it other content.
  /// - Returns: its path.
  @discardableResult
  package func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(filePath: self[name]))
    return self[name]
  }

  /// Makes a file of text, or gives it other content.
  /// - Returns: its path.
  @discardableResult
  package func write(_ name: String, _ text: String) throws -> String {
    try write(name, Array(text.utf8))
  }

  /// Makes a folder.
  /// - Returns: its path.
  @discardableResult
  package func folder(_ name: String) throws -> String {
    try FileManager.default.createDirectory(atPath: self[name], withIntermediateDirectories: false)
    return self[name]
  }

  package func remove(_ name: String) throws {
    try FileManager.default.removeItem(atPath: self[name])
  }

  /// Makes a file that is there `size` bytes long.
  package func truncate(_ name: String, to size: Int64) throws {
    let status = unsafe Glibc.truncate(self[name], off_t(size))
    if status != 0 { throw CocoaError(.fileWriteUnknown) }
  }

  package func read(_ name: String) throws -> [UInt8] { try contents(of: self[name]) }

  package func text(_ name: String) throws -> String {
    String(decoding: try read(name), as: UTF8.self)
  }

  package func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self[name]) }

  /// Everything in the folder, hidden files too, in order.
  package var names: [String] { get throws { try names(in: ".") } }

  /// Everything in a folder of the folder, hidden files too, in order.
  package func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: self[folder]).sorted()
  }

  /// Permission bits of a file.
  package func mode(_ name: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: self[name])
    guard let mode = attributes[.posixPermissions] as? Int else {
      throw SupportFailure(description: "\(self[name]) has no permissions")
    }
    return mode
  }
}
