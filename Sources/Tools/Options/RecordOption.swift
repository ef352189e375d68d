internal import Errors
internal import FileIO
internal import Import

extension Recording {
  /// The recording that `--record` asks for; nil without it.
  /// - Parameters:
  ///   - force: whether an existing file may be replaced.
  ///   - inputs: the files that the command reads, which it must not replace.
  ///   - outputs: the other files that the command makes.
  /// - Throws: `OUTPUT-SAME`, `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  convenience init?(
    _ path: String?, force: Bool, inputs: [String], outputs: [String?]
  ) throws(MigrationError) {
    guard let path else { return nil }
    try refuseSame(inputs: inputs, as: path)
    for case let output? in outputs { try FileIO.refuseSame(outputs: path, output) }
    self.init(to: try OutputFile(path, force: force, permissions: .private))
  }
}
