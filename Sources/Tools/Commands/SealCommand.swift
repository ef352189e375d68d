package import ArgumentParser
internal import Errors
internal import FileIO
internal import Import
internal import Instances
internal import Migration
internal import QEMUStream
internal import SVSM

/// `svsm-mig-seal`: adds the seal to a plain QEMU stream.
package struct SealCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-seal",
    abstract: "Seal a plain QEMU stream, so that damage can be found.",
    discussion: """
      Copies the stream, unchanged, and adds a hash tree over all of it after the end of its \
      sections, where QEMU ignores it: a sealed stream loads in QEMU as before. svsm-mig-verify \
      checks it against the seal. The sealed stream appears whole or not at all.
      """,
    version: Toolkit.version)

  @Argument(
    help: "Stream of QEMU, from its first byte; - is standard input.", completion: .file())
  var stream: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Sealed stream to make; - is standard output.", valueName: "stream"),
    completion: .file())
  var output: String

  @Option(
    help: ArgumentHelp(
      "Instance that signs the seal, used or not; it is not changed. Without it the seal is unsigned.",
      valueName: "instance"),
    completion: .file())
  var instance: String?

  @OptionGroup var part: StreamPlaceOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard stream != "-" || instance != "-" else {
      throw ValidationError("Stream and instance cannot both come from standard input.")
    }
    try part.validate(lists: false)
  }

  package func execute(_ console: Console) throws {
    let signer = try instance.map { (path) throws(MigrationError) in
      try InstanceFile(reading: path).instance
    }
    let file = try InputFile(stream)
    try refuseSame(file.identity, as: output)
    try refuseSame(inputs: [instance].compactMap { $0 }, as: output)
    let input = try QEMUInput(file, at: part.place())
    guard input.image == nil else {
      throw MigrationError(
        .streamKind, "an image of libvirt cannot be sealed", at: 0,
        expected: "the QEMU stream in it, in a file of its own")
    }
    // The output holds a guest's memory in the clear.
    let sealed = try OutputFile(output, force: outputs.force, permissions: .private)
    var sealer = PlainSealer(
      try input.reader(), input.assembly(), to: sealed, crew: jobs.crew)
    let progress = console.startProgress("sealing", total: input.end)
    let seal: Seal
    do throws(MigrationError) {
      seal = try sealer.seal(signedBy: signer) { progress.update($0) }
    } catch {
      throw input.explain(error)
    }
    try sealed.commit()
    console.note(
      "sealed \(Spelled.size(seal.coveredLength)) in "
        + "\(Spelled.count(seal.chunkCount, "chunk")) to \(sealed.name)")
    console.noteLeftovers(of: [output])
    console.note(padding: sealer.padding, rest: input.rest)
    if sealer.missingPages > 0 {
      console.note(
        "\(Spelled.count(sealer.missingPages, "page")) of the guest are not in this stream: data "
          + "in other channels or files is not sealed")
    }
    guard let signer else {
      return console.note(
        "unsigned seal: it detects damage, not deliberate changes; --instance signs it")
    }
    if signer.isSeeded { console.note("keys come from a seed: they are not secret") }
    console.noteModel()
  }
}
