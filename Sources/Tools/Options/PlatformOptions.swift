package import ArgumentParser
package import Errors
internal import FileIO
package import SEVSNP

/// The platform whose model security processor signs the report of an instance.
package struct PlatformOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Folder with ark.der, ask.der, vcek.der and vcek.key of a platform of your own.",
      discussion: "Certificates in DER or PEM. Without it a built-in model chip is used.",
      valueName: "folder"),
    completion: .directory)
  package var platform: String?

  @Option(help: ArgumentHelp("Built-in model chip: 0 or 1.", valueName: "number"))
  package var chip: Int?

  package init() {}

  package func validate() throws {
    guard platform == nil || chip == nil else {
      throw ValidationError("--platform and --chip exclude each other.")
    }
    guard chip.map({ 0..<Platform.modelChips ~= $0 }) ?? true else {
      throw ValidationError("There is no such chip; give 0 or 1.")
    }
  }

  /// Paths of the files that describe a platform of the user's own.
  var files: [String] {
    guard let platform else { return [] }
    return ["ark.der", "ask.der", "vcek.der", "vcek.key"].map { "\(platform)/\($0)" }
  }

  /// - Parameter defaultChip: number of the model chip to use when no platform is named.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; the errors of `Platform`.
  package func load(defaultChip: Int) throws(MigrationError) -> Platform {
    guard let platform else { return try .model(chip: chip ?? defaultChip) }
    func file(_ name: String) throws(MigrationError) -> [UInt8] {
      try readSmallFile("\(platform)/\(name)", limit: 1 << 20, .regular)
    }
    return try Platform(
      ark: file("ark.der"), ask: file("ask.der"), vcek: file("vcek.der"), key: file("vcek.key"))
  }
}
