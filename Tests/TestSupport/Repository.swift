/// The repository the tests belong to.
public enum Repository {
  /// The path of a file or folder, named from the top of the repository.
  public static func path(_ name: String) -> String {
    let folders = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    return folders.joined(separator: "/") + "/" + name
  }

  /// The whole file.
  public static func text(_ name: String) throws -> String {
    String(decoding: try contents(of: path(name)), as: UTF8.self)
  }
}
