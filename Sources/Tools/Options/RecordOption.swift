internal import Errors
internal import FileIO
internal import Import

extension Recording {
  /// The recording that `--record` asks for; nil without it.
  /// - Parameter files: the other files of the command, which it must not replace.
  /// - Throws: `OUTPUT-SAME`, `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  convenience init?(
    _ path: String?, force: Bool, beside files: [String]
  ) throws(MigrationError) {
    guard let path else { return nil }
    try refuseSame(inputs: files, as: path)
    self.init(to: try OutputFile(path, force: force, permissions: .private))
  }
}
