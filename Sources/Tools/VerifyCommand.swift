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
      """,
    version: Toolkit.version)

  @Argument(help: "Stream to verify; - is standard input.", completion: .file())
  var stream: String

  @Option(
    help: ArgumentHelp("Instance the stream is for; it is left as it is.", valueName: "instance"),
    completion: .file())
  var instance: String?

  @Flag(help: "Print JSON instead of text.")
  var json = false

  @OptionGroup var trust: TrustOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup public var common: CommonOptions

  public init() {}

  public var wantsJSON: Bool { json }

  public func execute(_ console: Console) throws {
    let destination = try instance.map { (path) throws(MigrationError) in
      try InstanceFile(reading: path).instance
    }
    let verifier = StreamVerifier(trust: try trust.load(), crew: jobs.crew)
    let input = StreamInput(FileSource(try InputFile(stream)))
    let report: VerificationReport
    if let destination {
      report = try verifier.verify(input, for: destination)
    } else {
      report = try verifier.verify(input)
    }
    if json {
      try console.write(report.json(of: stream, withInstance: destination != nil))
    } else {
      try console.write(report.text(console.style))
    }
    if let refusal = report.refusal { throw refusal }
    if destination != nil { console.noteModel() }
  }
}
