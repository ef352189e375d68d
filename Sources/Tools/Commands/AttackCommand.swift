package import ArgumentParser
internal import Attacks
internal import Errors
internal import FileIO
internal import Instances
internal import JSON
internal import SVSM
internal import Trials

/// `svsm-mig-attack`: makes the streams and offers that the other tools must refuse.
package struct AttackCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-attack",
    abstract: "Make the streams of a hostile host, and see each of them refused.",
    discussion: """
      --list names every attack with the rows of the threat table (Formats/threats.md). --name makes \
      one from a good stream, or from an offer; --recipe follows a recipe (Formats/vectors.md). \
      --matrix makes every attack on every stream, and verifies and loads each result; exit \
      status 1 when anything was accepted, or refused with another code than it should be.

      An attack by a lying source needs --instance and uses the model platform, whose keys are public: \
      no stream of a real guest is opened or signed.
      """,
    version: Toolkit.version)

  @Flag(help: "List the attacks.") var list = false
  @Option(help: ArgumentHelp("Make this attack.", valueName: "attack")) var name: String?
  @Option(
    help: ArgumentHelp("Follow the recipe in this file.", valueName: "file"), completion: .file())
  var recipe: String?
  @Flag(help: "Make every attack on every stream, and print the result of each check.")
  var matrix = false

  @Argument(help: "Stream to attack, or offer; a regular file.", completion: .file())
  var streams: [String] = []

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("File to make; - is standard output.", valueName: "file"),
    completion: .file())
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Stream of another session for the same destination, to splice from.", valueName: "stream"),
    completion: .file())
  var second: String?

  @Option(
    help: ArgumentHelp(
      "Destination of the stream, for a lying source and for --matrix; it is not changed.",
      valueName: "instance"),
    completion: .file())
  var instance: String?

  @Option(
    help: ArgumentHelp("Offer of another destination.", valueName: "offer"), completion: .file())
  var offer: String?

  @Flag(help: "Then repair all that needs no key, and seal with a key of the host's own.")
  var consistent = false

  @Option(
    help: ArgumentHelp(
      "Chooses the page, the bit and the attacker's keys; the same seed makes the same bytes.",
      valueName: "hex"))
  var seed: HexBytes?

  @Flag(help: "Print the list or the matrix as JSON.") var json = false

  @OptionGroup var trust: TrustOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package var wantsJSON: Bool { json }

  package func validate() throws {
    let modes = [list, name != nil, recipe != nil, matrix].count { $0 }
    guard modes == 1 else {
      throw ValidationError("One of --list, --name, --recipe and --matrix is needed.")
    }
    if list {
      guard streams.isEmpty else { throw ValidationError("--list takes no stream.") }
    } else if matrix {
      guard !streams.isEmpty, instance != nil else {
        throw ValidationError("--matrix takes streams and the --instance they are for.")
      }
      guard output == nil, second == nil, offer == nil, !consistent else {
        throw ValidationError(
          "--matrix makes its streams and the other destination itself, both ways, and keeps none.")
      }
    } else {
      guard streams.count == 1, output != nil else {
        throw ValidationError("One stream and --output are needed.")
      }
      guard !json else { throw ValidationError("Only --list and --matrix print JSON.") }
      guard recipe == nil || !consistent else {
        throw ValidationError("A recipe itself states what is repaired.")
      }
    }
    if let name, Attack.named(name) == nil {
      throw ValidationError("There is no attack \"\(name)\"; --list names them.")
    }
  }

  package func execute(_ console: Console) throws {
    if list {
      return json
        ? try console.write(Attack.listJSON) : try console.write(Attack.listText(console.style))
    }
    if matrix { return try runMatrix(console) }
    try make(streams[0], console)
  }

  // MARK: One attack

  private func make(_ path: String, _ console: Console) throws {
    guard let output else { return }
    let inputs = [path, second, instance, offer, recipe].compactMap { $0 }
    try refuseSame(inputs: inputs, as: output)
    var materials = Materials(try Self.input(path))
    materials.second = try second.map { (path) throws(MigrationError) in try Self.input(path) }
    materials.instance = try instance.map { (path) throws(MigrationError) in
      try InstanceFile(reading: path).instance
    }
    materials.offer = try offer.map { (path) throws(MigrationError) in
      try MigrationData(readSmallFile(path, limit: MigrationData.maximumSize))
    }
    if let seed { materials.seed = seed.bytes }
    // The output may hold a guest's memory.
    let file = try OutputFile(output, force: outputs.force, permissions: .private)
    if let recipe {
      let text = try readSmallFile(recipe, limit: Self.recipeLimit)
      try Recipe(text).make(from: materials, to: file)
    } else if let name, let attack = Attack.named(name) {
      guard attack.subject != .source else {
        throw MigrationError(
          .attackNeeds, "\(name) cannot be made as a file", expected: "--matrix, which shows it")
      }
      try attack.make(from: materials, mended: consistent, to: file)
      console.detail(attack.summary)
      if attack.target != .destination {
        console.note(
          attack.target == .used
            ? "the stream is as it was: load it a second time"
            : "load it with another destination's instance")
      }
    }
    try file.commit()
    console.note("made \(name ?? "the recipe's stream") from \(path): \(file.name)")
    console.noteLeftovers(of: [output])
    if materials.instance != nil { console.noteModel() }
  }

  /// Largest size of a recipe in bytes.
  private static let recipeLimit = 1 << 20

  /// Opens the input of an attack.
  static func input(_ path: String) throws(MigrationError) -> Materials.Input {
    let file = try InputFile(path, .regular)
    let size = try file.regularSize()
    guard size > 0 else { throw MigrationError(.streamEmpty, "\(file.name) is empty", at: 0) }
    return try Materials.Input(StoredFile(file))
  }

  // MARK: The matrix

  private func runMatrix(_ console: Console) throws {
    guard let instance else { return }
    let destination = try InstanceFile(reading: instance).instance
    var streams: [AttackMatrix.Stream] = []
    for path in self.streams {
      streams.append(
        AttackMatrix.Stream(name: path, try StoredFile(InputFile(path, .regular))))
    }
    let setting = AttackMatrix.Setting(
      instance: destination, trust: try trust.load(),
      seed: seed?.bytes ?? [0])
    let matrix = try AttackMatrix(streams, setting)
    let progress = console.startProgress(
      "attacking", total: UInt64(matrix.count), unit: .each("attacks"))
    let outcomes = try matrix.run(jobs.crew) { progress.update(UInt64($0)) }
    let table = AttackTable(outcomes)
    if json {
      try console.write(table.json)
    } else {
      try console.write(table.text(console.style))
    }
    console.noteModel()
    guard table.isGood else { throw ExitCode(1) }
  }
}
