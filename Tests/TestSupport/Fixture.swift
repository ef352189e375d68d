/// Files below `Fixtures` of this repository.
package enum Fixture {
  /// A path to hand to programs.
  package static func path(_ name: String) -> String { Repository.path("Fixtures/\(name)") }

  /// The whole file; one whose name ends in `.xz` is unpacked.
  package static func read(_ name: String) throws -> [UInt8] {
    guard name.hasSuffix(".xz") else { return try contents(of: path(name)) }
    guard let outcome = Program.run(["xz", "-dc", path(name)]), outcome.status == 0 else {
      throw SupportFailure(description: "cannot unpack \(name)")
    }
    return outcome.output
  }

  /// The whole file as text.
  package static func text(_ name: String) throws -> String {
    String(decoding: try read(name), as: UTF8.self)
  }
}
