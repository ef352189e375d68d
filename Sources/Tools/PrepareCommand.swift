public import ArgumentParser
internal import Bytes
internal import Cryptography
internal import FileIO
internal import SEVSNP
internal import SVSM

/// `svsm-mig-prepare`: starts an SVSM instance.
public struct PrepareCommand: ToolCommand {
  public static let configuration = CommandConfiguration(
    commandName: "svsm-mig-prepare",
    abstract: "Start an SVSM instance and publish its migration data.",
    discussion: """
      Makes a key pair and an attestation report that binds the public key. The instance file is \
      private; the offer goes to whoever saves a guest for this instance. An instance serves one \
      migration.
      """,
    version: Toolkit.version)

  @Option(
    help: ArgumentHelp("Private instance file to make (mode 0600).", valueName: "file"),
    completion: .file())
  var instance: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Public offer file to make.", valueName: "file"), completion: .file())
  var output: String

  @Option(
    help: ArgumentHelp(
      "Also write the platform's root certificate, for --trust of the peer.", valueName: "file"),
    completion: .file())
  var rootOut: String?

  @Option(
    help: ArgumentHelp("SEV_FEATURES its guest must run with.", valueName: "number"))
  var sevFeatures = Number(SEVFeatures.snp.rawValue)

  @OptionGroup var seed: SeedOption
  @OptionGroup(title: "Platform") var platform: PlatformOptions
  @OptionGroup var outputs: OutputOptions
  @OptionGroup public var common: CommonOptions

  public init() {}

  public func validate() throws {
    guard instance != "-" else {
      throw ValidationError("The instance file holds keys; it does not go to standard output.")
    }
    let paths = [instance, output] + [rootOut].compactMap { $0 }
    guard Set(paths).count == paths.count else {
      throw ValidationError("Instance, offer and root need a file each.")
    }
  }

  public func execute(_ console: Console) throws {
    let force = outputs.force
    let platform = try platform.load(defaultChip: 0)
    // All outputs are opened and written before the first one gets its name: all or none.
    let instanceFile = try OutputFile(instance, force: force, permissions: .private)
    let offerFile = try OutputFile(output, force: force)
    let rootFile = try rootOut.map { (path) throws(MigrationError) in
      try OutputFile(path, force: force, content: .text)
    }
    let made = try SVSMInstance(
      on: platform, features: SEVFeatures(rawValue: sevFeatures.value), random: seed.source)
    try instanceFile.write(made.encoded())
    try rootFile?.write(text: platform.ark.pem)
    try offerFile.write(made.offer.encoded)
    try instanceFile.synchronize()
    try rootFile?.synchronize()
    try offerFile.synchronize()
    // The offer comes last: without it nobody can address the instance.
    try LockedInstance.replacing(instance) { () throws(MigrationError) in
      try instanceFile.commit()
      try rootFile?.commit()
      try offerFile.commit()
    }
    if made.isSeeded { console.note("keys come from a seed: they are no secret") }
    console.note("instance \(instance), offer \(output)")
    console.noteModel()
  }
}
