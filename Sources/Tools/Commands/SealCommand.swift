package import ArgumentParser
internal import Cryptography
internal import Errors
internal import FileIO
internal import Import
internal import Instances
internal import Migration
internal import QEMUStream
internal import SVSM
internal import Wire

/// `svsm-mig-seal`: adds the seal to a plain QEMU stream.
package struct SealCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-seal",
    abstract: "Seal a plain QEMU stream or any file, so that damage can be found.",
    discussion: """
      Copies the stream, unchanged, and adds a hash tree over all of it after the end of its \
      sections, where QEMU ignores it: a sealed stream loads in QEMU as before. svsm-mig-verify \
      checks it against the seal. The sealed stream appears whole or not at all.

      With --detached nothing is copied: the seal is a small file of its own, over every byte of the \
      input, whatever that is. svsm-mig-verify --seal checks it. With --instance the seal is signed, \
      and whoever has the offer of this instance can check the signature with --signer.
      """,
    version: Toolkit.version)

  @Argument(
    help: "Stream of QEMU, from its first byte; with --detached any file. - is standard input.",
    completion: .file())
  var stream: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Sealed stream to make, with --detached the seal; - is standard output.", valueName: "file"),
    completion: .file())
  var output: String

  @Option(
    help: ArgumentHelp(
      "Instance that signs the seal, used or not; it is not changed. Without it the seal is unsigned.",
      valueName: "instance"),
    completion: .file())
  var instance: String?

  @Flag(help: "Make a seal in a file of its own, and copy nothing.")
  var detached = false

  @Option(
    help: ArgumentHelp(
      "File to make that records the sealing as JSON: the tool, times, and the name, size and SHA-256 of "
        + "each file. The files are read once more for it.", valueName: "file"),
    completion: .file())
  var report: String?

  @OptionGroup var part: StreamPlaceOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard stream != "-" || instance != "-" else {
      throw ValidationError("Stream and instance cannot both come from standard input.")
    }
    guard output != "-" || report != "-" else {
      throw ValidationError("Seal and report cannot both go to standard output.")
    }
    guard !detached || !part.isGiven else {
      throw ValidationError("--detached seals a whole file, without --length and --snapshot.")
    }
    try part.validate(lists: false)
  }

  package func execute(_ console: Console) throws {
    var record = SealRecord(started: WallClock.now)
    let signer = try instance.map { (path) throws(MigrationError) in
      try InstanceFile(reading: path).instance
    }
    let file = try InputFile(stream)
    for made in [output] + [report].compactMap({ $0 }) {
      try refuseSame(file.identity, as: made)
      try refuseSame(inputs: [instance].compactMap { $0 }, as: made)
    }
    // A sealed stream holds a guest's memory in the clear, a seal only hashes.
    let made = try OutputFile(
      output, force: outputs.force, permissions: detached ? .public : .private)
    let reportFile = try report.map { (path) throws(MigrationError) in
      try OutputFile(path, force: outputs.force, content: .text)
    }
    let seal =
      detached
      ? try sealWhole(file, to: made, signer, console)
      : try sealStream(file, to: made, signer, console)
    try finish(made, file, seal, reportFile, &record)
    let what = detached ? " of \(file.name)" : ""
    console.note(
      "sealed \(Spelled.size(seal.coveredLength))\(what) in "
        + "\(Spelled.count(seal.chunkCount, "chunk")) to \(made.name)")
    console.note("root of the seal: SHA-256 \(Hex.encode(seal.root))")
    console.noteLeftovers(of: [output] + [report].compactMap { $0 })
    guard let signer else {
      return console.note(
        "unsigned seal: it detects damage, not deliberate changes; --instance signs it")
    }
    console.note(
      "signed by the key with SHA-256 \(Hex.encode(try SHA256.hash(signer.offer.publicKey)))")
    if signer.isSeeded { console.note("keys come from a seed: they are not secret") }
  }

  private func sealWhole(
    _ file: InputFile, to output: OutputFile, _ signer: SVSMInstance?, _ console: Console
  ) throws(MigrationError) -> Seal {
    let progress = console.startProgress("sealing", total: file.size)
    return try DetachedSeal.make(
      of: StreamInput(wholeOf: file), signedBy: signer, to: output, crew: jobs.crew
    ) { progress.update($0) }
  }

  private func sealStream(
    _ file: InputFile, to output: OutputFile, _ signer: SVSMInstance?, _ console: Console
  ) throws(MigrationError) -> Seal {
    let input = try QEMUInput(file, at: part.place())
    guard input.image == nil else {
      throw MigrationError(
        .streamKind, "the stream in an image of libvirt cannot be sealed in its place", at: 0,
        expected: "--detached, or the stream in a file of its own")
    }
    var sealer = PlainSealer(
      try input.reader(), input.assembly(), to: output, crew: jobs.crew)
    let progress = console.startProgress("sealing", total: input.end)
    let seal: Seal
    do throws(MigrationError) {
      seal = try sealer.seal(signedBy: signer) { progress.update($0) }
    } catch {
      throw input.explain(error)
    }
    console.note(padding: sealer.padding, rest: input.rest)
    let missing = try sealer.missingPages()
    if missing > 0 {
      console.note(
        "\(Spelled.count(missing, "page")) of the guest are not in this stream: data "
          + "in other channels or files is not sealed")
    }
    return seal
  }

  /// Gives the output its name, together with the report if one is made.
  private func finish(
    _ made: OutputFile, _ file: InputFile, _ seal: Seal, _ report: OutputFile?,
    _ record: inout SealRecord
  ) throws(MigrationError) {
    guard let report else { return try made.commit() }
    record.input = try SealRecord.File(file)
    record.output = made.isDirect ? .init(name: made.name) : try .init(made.input())
    record.finished = WallClock.now
    try report.write(text: record.json(seal, detached: detached))
    try OutputFile.commitAll([made, report])
  }
}
