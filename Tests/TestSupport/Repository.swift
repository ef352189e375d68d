/// The repository the tests belong to.
package enum Repository {
  /// The path of a file or folder, named from the top of the repository.
  package static func path(_ name: String) -> String {
    let folders = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    return folders.joined(separator: "/") + "/" + name
  }

  /// The whole file.
  package static func text(_ name: String) throws -> String {
    String(decoding: try contents(of: path(name)), as: UTF8.self)
  }
}
