public import ArgumentParser
internal import Bytes
internal import FileIO
internal import Migration
internal import QEMUStream
internal import SVSM

/// `svsm-mig-verify`: checks a stream and says what it could not check.
public struct VerifyCommand: ToolCommand {
  public static let configuration = CommandConfiguration(
    commandName: "svsm-mig-verify",
    abstract: "Verify a stream, restoring nothing.",
    discussion: """
      Prints one line for each property: proven, refuted, or not checked and why. Without keys it \
      checks structure, order, counts, seal and the source's attestation; with the destination's \
      instance also every tag and all that is encrypted. Exit status 65 when a property is refuted.

      Of a plain QEMU stream it checks the structure, that all RAM came, and the seal of \
      svsm-mig-seal if there is one; with --instance that it is sealed, and by that instance.

      With --vectors it checks verifiers instead: a folder of streams and other files, each wrong in \
      one way, and what must be said of it.
      """,
    version: Toolkit.version)

  @Argument(help: "Stream to verify; - is standard input.", completion: .file())
  var stream: String?

  @Option(
    help: ArgumentHelp(
      "Instance the stream is for, or of a plain QEMU stream the one that sealed it; it is left as "
        + "it is.", valueName: "instance"),
    completion: .file())
  var instance: String?

  @Flag(help: "Print JSON instead of text.")
  var json = false

  @OptionGroup var vectors: VectorOptions
  @OptionGroup var qemu: QEMUInputOptions
  @OptionGroup var trust: TrustOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup public var common: CommonOptions

  public init() {}

  public func validate() throws {
    try vectors.validate(with: stream)
    if let stream { try qemu.validate(with: stream) }
  }

  public var wantsJSON: Bool { json }

  public func execute(_ console: Console) throws {
    if let folder = vectors.vectors {
      return try VectorRun(folder, vectors).run(console, jobs.crew)
    }
    guard let stream else { return }
    let keys = try instance.map { (path) throws(MigrationError) in
      try InstanceFile(reading: path).instance
    }
    let trust = try trust.load()
    let input = try QEMUInput(try InputFile(stream), qemu)
    let report =
      try Inspection.Kind(detecting: input.stream) == .snp
      ? verifySNP(input, keys, trust) : verifyPlain(input, keys)
    if json {
      try console.write(report.json(of: stream, withInstance: keys != nil))
    } else {
      try console.write(report.text(console.style))
    }
    if let refusal = report.refusal { throw refusal }
    if keys != nil { console.noteModel() }
  }

  private func verifySNP(
    _ input: QEMUInput, _ destination: SVSMInstance?, _ trust: Trust
  ) throws(MigrationError) -> VerificationReport {
    try input.requireAlone()
    let verifier = StreamVerifier(trust: trust, crew: jobs.crew)
    guard let destination else { return try verifier.verify(input.stream) }
    return try verifier.verify(input.stream, for: destination)
  }

  private func verifyPlain(
    _ input: QEMUInput, _ signer: SVSMInstance?
  ) throws(MigrationError) -> VerificationReport {
    try input.requireWholeImage()
    var verifier = PlainStreamVerifier(
      try input.reader(),
      RAMAssembly(channels: input.channels, file: input.positions), sealedBy: signer,
      crew: jobs.crew)
    return try verifier.verify { input.explain($0) }
  }
}
