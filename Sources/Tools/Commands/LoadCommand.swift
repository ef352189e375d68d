package import ArgumentParser
internal import Errors
internal import FileIO
internal import Guest
internal import Import
internal import Instances
internal import JSON
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// `svsm-mig-load`: the destination of a migration, which loads a guest from a stream.
package struct LoadCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-load",
    abstract: "Load a guest from a stream.",
    discussion: """
      Checks the whole stream with the keys of the instance it is for, and restores the guest. The \
      guest appears whole or not at all; an instance loads one stream. A load that was interrupted \
      after all checks is completed by the same call.

      With --live a QEMU waits for the guest, and this is the command of its migration: \
      -incoming "exec:svsm-mig-load - --live --output-format qemu ... -o - < PIPE". Pages pass on as \
      they come, and QEMU can run the guest only after all checks.

      --until writes memory as it was at the end of an epoch, or after some of its page records: it \
      has no vCPUs, is marked as incomplete, and the instance stays as it is.

      --abort makes the instance refuse every stream from now on, and writes its signed promise for \
      svsm-mig-save --resume-after.
      """,
    version: Toolkit.version)

  @Argument(
    help: "Stream to load; - is standard input. With --abort: the one given up, if you have it.",
    completion: .file())
  var stream: String?

  @Option(
    help: ArgumentHelp("Instance the stream is for.", valueName: "instance"), completion: .file())
  var instance: String

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Guest to make: a folder, or a file for raw and qemu; - is standard output, for qemu. Of --abort: "
        + "file to make.", valueName: "guest"),
    completion: .file())
  var output: String

  @Flag(help: "Give this migration up for good and write a signed abort for the source.")
  var abort = false

  @Option(
    help: ArgumentHelp(
      "Format of the guest.",
      discussion: """
        A bundle unless told otherwise. A raw image holds memory alone. qemu is a plain QEMU stream, \
        which a stock QEMU resumes when the guest came from one.
        """))
  var outputFormat: GuestLoad.Format?

  @Flag(
    help: ArgumentHelp(
      "Pass pages on as they come, to a QEMU that waits for them (-incoming exec:).",
      discussion: """
        With --output-format qemu, to a pipe. QEMU gets the end of the stream, without which it cannot \
        run the guest, only after all checks.
        """))
  var live = false

  @Option(
    help: ArgumentHelp("Keep a copy of the SNP stream.", valueName: "file"), completion: .file())
  var record: String?

  @Option(
    help: ArgumentHelp(
      "Write only memory as it was then: epoch:N is the end of that epoch, epoch:N,pages:M the place "
        + "after M of its page records.", valueName: "moment"))
  var until: GuestMoment?

  @Flag(help: "Accept a source that does not prove itself.")
  var oneWay = false

  @Flag(help: "Accept a stream made from a seed: others know its keys.")
  var acceptSeeded = false

  @Flag(help: "Print what was loaded, or why not, as JSON.")
  var json = false

  @OptionGroup var trust: TrustOptions
  @OptionGroup var revocation: RevocationOptions
  @OptionGroup var policy: PolicyOption
  @OptionGroup var trace: TraceOption
  @OptionGroup var jobs: JobsOption
  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package var wantsJSON: Bool { json }

  package func validate() throws {
    guard output != "-" || (abort || outputFormat == .qemu) && !json else {
      throw ValidationError(
        "Only a QEMU stream or an abort can go to standard output, and then without --json.")
    }
    guard instance != "-" else {
      throw ValidationError("The instance file is rewritten: give its name, not -.")
    }
    guard !live || outputFormat == .qemu && !abort else {
      throw ValidationError("--live is for --output-format qemu.")
    }
    guard record == nil || !abort && until == nil else {
      throw ValidationError(
        "--record keeps the stream of a load: --abort loads none, and --until leaves it where it is."
      )
    }
    guard until == nil || !abort && outputFormat != .qemu else {
      throw ValidationError(
        "--until makes a bundle or a raw image: devices come with the final state, and an abort is "
          + "of a whole stream.")
    }
    guard trace.path == nil || !abort else {
      throw ValidationError("--abort makes no step of a migration: there is nothing to trace.")
    }
    guard policy.path == nil && revocation.listFiles.isEmpty || !oneWay && !abort else {
      throw ValidationError(
        "--policy and --crl demand a report: neither --one-way nor --abort looks at one.")
    }
    try policy.validate(beside: [stream] + trust.trustedFiles + revocation.listFiles)
  }

  package func execute(_ console: Console) throws {
    var arrival = live ? LiveArrival() : nil
    do {
      try execute(console, &arrival)
    } catch let error as MigrationError {
      guard let arrival, !arrival.isRestored else { throw error }
      if !arrival.hasOutput { endQEMU() }
      throw error.adding(
        "no guest was restored: its source has it, or gets it back by an abort of \(instance)")
    }
  }

  /// Lets a QEMU that waits for a stream notice that none comes: one that got no byte waits on.
  private func endQEMU() {
    guard FileIdentity.ofOutput(output) == nil,
      let pipe = try? OutputFile(output, force: true), pipe.isDirect
    else { return }
    // The error that is on its way matters more than one here.
    try? pipe.write(Array("QEVM".utf8).span)
  }

  private func execute(_ console: Console, _ arrival: inout LiveArrival?) throws {
    let destination = try InstanceFile(reading: instance, .regular)
    if abort { return try giveUp(console) }
    let load = GuestLoad(
      by: destination, to: output, force: outputs.force, waiting: console.waiting(for: instance))
    if until == nil {
      if destination.instance.stage == .restoring { return try end(load, console) }
      // This is checked before an existing output is reported: the output may be this instance's
      // guest.
      // The guest of an instance that was used may be here.
      arrival?.isRestored = true
      try destination.instance.requireReady(as: .destination)
      arrival?.isRestored = false
    }
    guard let stream else {
      throw ValidationError("Missing the stream to load.")
    }
    let trust = try trust.load(demanding: policy.load(), revocation)
    let file = try InputFile(stream)
    try refuseSame(file.identity, as: output)
    let inputs =
      [stream, instance] + [policy.path].compactMap { $0 } + self.trust.trustedFiles
      + revocation.listFiles
    try refuseSame(inputs: inputs, as: output)
    try self.trace.refuseSame(inputs: inputs, output: output)
    let recording = try Recording(
      record, force: outputs.force, inputs: inputs, outputs: [output, self.trace.path])
    var options = DestinationSVSM.Options()
    options.acceptsOneWay = oneWay
    options.acceptsSeeded = acceptSeeded
    let progress = console.startProgress("loading", total: file.size)
    let (format, crew) = (outputFormat ?? .bundle, jobs.crew)
    let restored = "the guest is restored all the same: \(output)"
    try self.trace.run(
      of: .destination, force: outputs.force,
      done: until == nil ? restored : "the memory is written: \(output)"
    ) { trace in
      if let until {
        let summary = try load.replay(
          file, until: until, as: format, trusting: trust, options, crew, trace: trace
        ) { progress.update($0) }
        return try report(summary, console)
      }
      let summary = try load.load(
        file, as: format, live: &arrival, recording: recording, trusting: trust, options, crew,
        trace: trace
      ) { progress.update($0) }
      do throws(MigrationError) {
        try recording?.commit()
        try report(summary, console)
      } catch {
        throw error.adding(restored)
      }
    }
  }

  private func report(_ summary: LoadSummary, _ console: Console) throws(MigrationError) {
    let guest = summary.guest
    let epochs = summary.epochs == 1 ? "" : " of \(summary.epochs) epochs"
    console.note(
      "loaded \(summary.privatePages) private and \(summary.sharedPages) shared pages\(epochs), "
        + "\(Spelled.count(guest.vcpus.count, "vCPU")), "
        + "\(Spelled.count(guest.services.count, "service")) to "
        + (output == "-" ? "standard output" : output))
    if outputFormat == .raw {
      console.note("a raw image holds memory alone: vCPUs and services are not in it")
    }
    console.noteLeftovers(of: [output, instance])
    console.noteModel()
    guard json else { return }
    try console.write([
      "schema": "svsm-migration/load/1", "tool": .string(console.tool), "status": "done",
      "guest": .string(output), "format": .string((outputFormat ?? .bundle).rawValue),
      "machine": .string(guest.machine), "privatePages": JSON(summary.privatePages),
      "sharedPages": JSON(summary.sharedPages), "vcpus": JSON(guest.vcpus.count),
      "services": .array(guest.services.map { .string($0.kind.name) }),
      "epochs": JSON(summary.epochs), "streamBytes": JSON(summary.bytes),
      "mutual": .bool(summary.transferData.flags.contains(.mutual)),
      "seeded": .bool(summary.transferData.flags.contains(.seeded)), "exitStatus": 0,
    ])
  }

  // MARK: Without a guest

  /// Completes a load that was interrupted after all checks.
  private func end(_ load: GuestLoad, _ console: Console) throws {
    try requireFit(of: load.waitingGuest)
    let session = try stream.map { (path) throws(MigrationError) in try StreamSession(of: path) }
    try load.endInterrupted(of: session?.data)
    console.note("ended an interrupted load: the guest is \(output)")
    console.noteLeftovers(of: [output, instance])
    console.noteModel()
    guard json else { return }
    try console.write([
      "schema": "svsm-migration/named/1", "tool": .string(console.tool), "status": "done",
      "guest": .string(output), "exitStatus": 0,
    ])
  }

  /// Checks that the options fit a guest under its hidden name, whose form and file system are
  /// fixed.
  /// - Throws: `ValidationError` for options that demand another form or standard output.
  private func requireFit(of guest: UnnamedOutput?) throws {
    guard output != "-" else {
      throw ValidationError("To complete this load, give --output a file name, not -.")
    }
    guard let outputFormat, let guest, guest.isThere else { return }
    let isStream = guest.begins(with: Array("QEVM".utf8))
    let format: GuestLoad.Format = guest.isFolder ? .bundle : isStream ? .qemu : .raw
    guard outputFormat == format else {
      let kind =
        switch format {
        case .bundle: "a bundle"
        case .raw: "a raw image"
        case .qemu: "a QEMU stream"
        }
      throw ValidationError(
        "The restored guest is \(kind): completing its load cannot change the format.")
    }
  }

  /// Writes an abort of the instance; an instance that is ready is first stored as aborted.
  private func giveUp(_ console: Console) throws {
    let session = try stream.map { (path) throws(MigrationError) in try StreamSession(of: path) }
    try refuseSame(inputs: [instance] + [stream].compactMap { $0 }, as: output)
    let file = try OutputFile(output, force: outputs.force)
    let token = try LockedInstance.giveUp(
      instance, session, waiting: console.waiting(for: instance))
    do throws(MigrationError) {
      try file.write(token.encoded)
      try file.commit()
    } catch {
      throw error.adding("\(instance) has given up all the same: run it again for its abort")
    }
    console.note(
      "abort \(file.name): \(instance) will never restore \(stream == nil ? "a" : "that") guest")
    console.noteModel()
    guard json else { return }
    var result: [JSON.Member] = [
      .init("schema", "svsm-migration/abort/1"), .init("tool", .string(console.tool)),
      .init("status", "done"), .init("abort", .string(output)),
      .init("offerDigest", .string(Hex.encode(token.offerDigest))),
    ]
    if let session = token.session {
      result.append(.init("session", .string(Hex.encode(session))))
    }
    result.append(.init("exitStatus", 0))
    try console.write(.object(result))
  }
}

extension GuestLoad.Format: ExpressibleByArgument {}

extension GuestMoment: ExpressibleByArgument {
  package init?(argument: String) { self.init(parsing: argument) }
}
