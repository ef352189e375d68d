package import ArgumentParser
internal import Errors
internal import FileIO
internal import Import
internal import Instances
internal import JSON
internal import Migration
internal import QEMUStream
internal import SVSM
internal import Trials

/// `svsm-mig-verify`: verifies a stream, and reports what it could not check.
package struct VerifyCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-verify",
    abstract: "Verify a stream, restoring nothing; or explain a code.",
    discussion: """
      Prints a ledger: one line for each property, proven, refuted or not checkable here. The lines \
      below it name each finding and the broken rule, or what the check needs. All findings are \
      listed, not only the first. Without keys it checks structure, order, counts, seal and \
      attestation; with the destination's instance also every tag and all that is encrypted. Exit \
      status 65 when a property is refuted, or a report's chain does not end in a trusted root: a \
      load refuses such a stream.

      Of a plain QEMU stream it checks the structure, that all RAM is present, and the seal of \
      svsm-mig-seal if there is one; with --signer or --instance that it is sealed, and by that \
      instance. Its ledger has the properties that a plain stream can have, and begins with an answer.

      With --seal it compares a file of any kind with its detached seal.

      --policy checks each report against a policy: the source's, and with --offer or \
      --instance the destination's.

      --explain CODE explains the code of a refusal: its meaning, its causes and the remedy.

      --target DUMP checks instead whether a QEMU can load the stream, as far as the file that it \
      wrote with -dump-vmstate shows. There is one row for the machine type, each RAM block and each \
      section, with every reason. With --source DUMP in place of a stream two QEMUs are compared.

      With --vectors it checks verifiers instead: a folder has streams and other files, each with \
      one fault, and the result expected for each.
      """,
    version: Toolkit.version)

  @Argument(help: "Stream to verify; - is standard input.", completion: .file())
  var stream: String?

  @Option(
    help: ArgumentHelp(
      "Instance the stream is for, or of a plain QEMU stream the one that sealed it; it is not "
        + "changed.", valueName: "instance"),
    completion: .file())
  var instance: String?

  @Option(
    help: ArgumentHelp(
      "Offer the stream answers, to check the destination's attestation without keys.",
      valueName: "offer"),
    completion: .file())
  var offer: String?

  @Option(
    help: ArgumentHelp("Explain this code: SEAL-CHUNK. No stream is read.", valueName: "code"))
  var explain: String?

  @Flag(help: "Print JSON instead of text.")
  var json = false

  @OptionGroup var seals: SealOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var vectors: VectorOptions
  @OptionGroup var qemu: QEMUInputOptions
  @OptionGroup var trust: TrustOptions
  @OptionGroup var revocation: RevocationOptions
  @OptionGroup var policy: PolicyOption
  @OptionGroup var trace: TraceOption
  @OptionGroup var jobs: JobsOption
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    let subjects = [stream, explain, vectors.vectors, target.source]
    guard subjects.count(where: { $0 != nil }) == 1 else {
      throw ValidationError(
        "Name a stream, a code with --explain, a folder with --vectors, or a dump with --source.")
    }
    try vectors.validate()
    try target.validate()
    if let explain, ErrorCode(named: explain) == nil {
      let near = ErrorCode.near(explain).map(\.rawValue).joined(separator: ", ")
      throw ValidationError("There is no code \(RenderedText.printable(explain)); near: \(near).")
    }
    let isUntrusting =
      [instance, offer, policy.path, seals.signer, trace.path].allSatisfy { $0 == nil }
      && trust.trustedFiles.isEmpty
      && revocation.listFiles.isEmpty && qemu.files.isEmpty
    guard isUntrusting || target.target == nil else {
      throw ValidationError(
        "--target prints no ledger: --instance, --offer, --signer, --policy, --trust, --crl, --trace, "
          + "--channel and --memory cannot be used with it.")
    }
    guard seals.seal == nil || isOfSealAlone else {
      throw ValidationError(
        "--seal compares bytes: of the other options only --instance, --signer, --json and --jobs can be "
          + "used with it.")
    }
    guard seals.signer == nil || instance == nil && offer == nil else {
      throw ValidationError("--signer, --instance and --offer exclude each other.")
    }
    guard (target.files + [stream ?? ""]).count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("Only one input can come from standard input.")
    }
    guard let stream else {
      guard isUntrusting, !qemu.isGiven, !seals.isGiven,
        target.target == nil || target.source != nil
      else {
        throw ValidationError(
          "--instance, --offer, --signer, --seal, --policy, --trust, --crl, --trace, --channel, --memory, --offset, "
            + "--length, --snapshot and --target are for a stream.")
      }
      return
    }
    guard instance == nil || offer == nil else {
      throw ValidationError("An instance holds its offer: name one of the two.")
    }
    try policy.validate(
      beside: [stream, instance, offer] + trust.trustedFiles + revocation.listFiles)
    try qemu.validate(with: stream)
  }

  /// Whether no option is given that `--seal` does not obey.
  private var isOfSealAlone: Bool {
    [offer, policy.path, target.target, trace.path].allSatisfy { $0 == nil }
      && trust.trustedFiles.isEmpty
      && revocation.listFiles.isEmpty && !qemu.isGiven && stream != nil
  }

  package var wantsJSON: Bool { json }

  package func execute(_ console: Console) throws {
    if let code = explain.flatMap({ ErrorCode(named: $0) }) {
      if json { return try console.write(code.explainedAsJSON) }
      return try console.write(code.explained(console.style))
    }
    if let folder = vectors.vectors {
      return try run(vectorsIn: folder, console)
    }
    if let target = target.target { return try run(against: target, console) }
    if let seal = seals.seal { return try verify(against: seal, console) }
    let stream = stream ?? "-"
    let keys = try instance.map { (path) throws(MigrationError) in
      try InstanceFile(reading: path).instance
    }
    let offer = try offer.map { (path) throws(MigrationError) in
      try MigrationData(readSmallFile(path, limit: MigrationData.maximumSize))
    }
    let trust = try trust.load(demanding: policy.load(), revocation)
    let input = try QEMUInput(try InputFile(stream), qemu)
    guard try StreamKind(detecting: input.stream) == .snp else {
      return try print(
        verifyPlain(input, keys?.offer.publicKey ?? seals.signerKey(), console), of: stream, console
      )
    }
    try print(verifySNP(input, keys, offer, trust, console), of: stream, console)
    if keys != nil { console.noteModel() }
  }

  /// Prints a ledger, and ends with its first refusal.
  func print(
    _ report: VerificationReport, of stream: String, _ console: Console
  ) throws(MigrationError) {
    if json {
      try console.write(
        report.json(
          of: stream, withInstance: instance != nil, withOffer: offer != nil,
          withSigner: seals.signer != nil))
    } else {
      try console.write(report.text(console.style))
    }
    if let refusal = report.refusal { throw refusal }
  }

  private func run(vectorsIn folder: String, _ console: Console) throws {
    let run = try VectorRun(
      folder, of: vectors.subject, against: vectors.against, runsCommands: vectors.commands)
    let progress = console.startProgress(
      "vectors", total: UInt64(run.count), unit: .each("vectors"))
    let table = VectorTable(try run.run(jobs.crew) { progress.update(UInt64($0)) })
    if json {
      try console.write(table.json)
    } else {
      try console.write(table.text(console.style))
    }
    guard table.isGood else { throw ExitCode(1) }
  }

  private func verifySNP(
    _ input: QEMUInput, _ destination: SVSMInstance?, _ offer: MigrationData?, _ trust: Trust,
    _ console: Console
  ) throws -> VerificationReport {
    try input.requireAlone()
    try trace.refuseSame(
      inputs: [stream, instance, self.offer, policy.path].compactMap { $0 }
        + self.trust.trustedFiles + revocation.listFiles)
    guard seals.signer == nil else {
      throw MigrationError(
        .streamKind, "an SNP stream is sealed by the source of its session", at: input.start,
        expected: "a plain QEMU stream for \(.signer)", got: "an SNP stream")
    }
    var verifier = StreamVerifier(trust: trust, crew: jobs.crew)
    let progress = console.startProgress("verifying", total: input.end)
    verifier.progress = { progress.update($0) }
    return try trace.run(of: .verifier, done: "the stream was verified all the same") { trace in
      guard let destination else {
        return try verifier.verify(input.stream, offer: offer, trace: trace)
      }
      return try verifier.verify(input.stream, for: destination, trace: trace)
    }
  }

  private func verifyPlain(
    _ input: QEMUInput, _ signer: [UInt8]?, _ console: Console
  ) throws(MigrationError) -> VerificationReport {
    try input.requireWholeImage()
    var verifier = PlainStreamVerifier(
      try input.reader(),
      input.assembly(), sealedBy: signer, crew: jobs.crew)
    let progress = console.startProgress("verifying", total: input.end)
    verifier.progress = { progress.update($0) }
    var report = try verifier.verify { input.explain($0) }
    report.rest = input.rest
    // These options do not apply to a plain QEMU stream. A damaged stream is reported as damaged
    // instead, since its kind is not certain.
    let options = [
      (offer != nil, "offer"), (policy.path != nil, "policy"),
      (!revocation.listFiles.isEmpty, "crl"), (trace.path != nil, "trace"),
    ]
    if report.refusal == nil, let option = options.first(where: \.0)?.1 {
      throw MigrationError(
        .streamKind,
        option == "offer"
          ? "a plain QEMU stream answers no offer"
          : option == "trace"
            ? "a plain QEMU stream has no trusted side" : "a plain QEMU stream has no report",
        at: input.start, expected: "an SNP stream for --\(option)", got: "a plain QEMU stream")
    }
    return report
  }
}
