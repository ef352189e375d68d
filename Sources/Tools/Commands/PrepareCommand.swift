package import ArgumentParser
internal import Cryptography
internal import Errors
internal import FileIO
internal import Instances
internal import SEVSNP
internal import SVSM
internal import Wire

/// `svsm-mig-prepare`: makes an SVSM instance and its offer.
package struct PrepareCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-prepare",
    abstract: "Start an SVSM instance and publish its migration data.",
    discussion: """
      Makes a key pair and an attestation report that binds the public key. The instance file is \
      private; the offer goes to whoever saves a guest for this instance. An instance serves one \
      migration.

      --existing makes no instance: it writes the offer of an unused instance once more.
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
    help: ArgumentHelp(
      "SEV_FEATURES its guest must run with; 0x1 by default.", valueName: "number"))
  var sevFeatures: Number?

  @Flag(help: "Write the offer, and the root, of an instance that exists and is ready.")
  var existing = false

  @OptionGroup var seed: SeedOption
  @OptionGroup(title: "Platform") var platform: PlatformOptions
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard instance != "-" else {
      throw ValidationError("The instance file holds keys; it does not go to standard output.")
    }
    let paths = [instance, output] + [rootOut].compactMap { $0 }
    guard Set(paths).count == paths.count else {
      throw ValidationError("Instance, offer and root need a file each.")
    }
    guard
      !existing
        || seed.seed == nil && sevFeatures == nil && platform.platform == nil
          && platform.chip == nil
    else {
      throw ValidationError("--existing makes no keys: the instance has its own.")
    }
  }

  package func execute(_ console: Console) throws {
    if existing { return try publish(console) }
    let force = outputs.force
    try refuseSame(inputs: platform.files, as: instance)
    for path in [output, rootOut].compactMap({ $0 }) {
      try refuseSame(inputs: platform.files, as: path)
    }
    let platform = try platform.load(defaultChip: 0)
    // All outputs are opened and written before the first of them gets its name.
    let instanceFile = try OutputFile(
      instance, force: force, permissions: .private, mustStay: true)
    let offerFile = try OutputFile(output, force: force)
    let rootFile = try rootOut.map { (path) throws(MigrationError) in
      try OutputFile(path, force: force, content: .text)
    }
    let made = try SVSMInstance(
      on: platform, features: sevFeatures.map { SEVFeatures(rawValue: $0.value) } ?? .snp,
      random: seed.source)
    try instanceFile.write(made.encoded())
    try rootFile?.write(text: platform.ark.pem)
    try offerFile.write(made.offer.encoded)
    // The offer comes last: without it no source can use the instance.
    let files = [instanceFile] + [rootFile].compactMap { $0 } + [offerFile]
    try LockedInstance.replacing(instance, waiting: console.waiting(for: instance)) {
      () throws(MigrationError) in
      try OutputFile.commitAll(files)
    }
    say(made, console)
  }

  /// Writes the offer and, if requested, the root of an existing instance.
  private func publish(_ console: Console) throws {
    let made = try LockedInstance.with(instance, waiting: console.waiting(for: instance)) {
      (file) throws(MigrationError) in
      try publish(file.instance)
      return file.instance
    }
    say(made, console)
  }

  private func publish(_ made: SVSMInstance) throws(MigrationError) {
    // A guest that is saved for the offer of a used instance would be lost.
    try made.requireReady(as: .destination)
    try refuseSame(inputs: [instance], as: output)
    if let rootOut { try refuseSame(inputs: [instance], as: rootOut) }
    let offerFile = try OutputFile(output, force: outputs.force)
    let rootFile = try rootOut.map { (path) throws(MigrationError) in
      try OutputFile(path, force: outputs.force, content: .text)
    }
    if let rootFile {
      let table = try CertificateTable(made.offer.certificates)
      let root = table.entries.first { $0.kind == .ark }?.content ?? []
      guard let ark = try X509Certificate.read(root).first else {
        throw MigrationError(
          .certificateMissing, "the offer holds no root certificate", in: .offer)
      }
      try rootFile.write(text: ark.pem)
    }
    try offerFile.write(made.offer.encoded)
    try OutputFile.commitAll([rootFile].compactMap { $0 } + [offerFile])
  }

  private func say(_ made: SVSMInstance, _ console: Console) {
    if made.isSeeded { console.note("keys come from a seed: they are not secret") }
    console.note("instance \(instance), offer \(output)")
    console.noteLeftovers(of: [instance, output] + [rootOut].compactMap { $0 })
    console.noteModel()
  }
}
