internal import ArgumentParser
internal import Errors
internal import FileIO
internal import Guest
internal import Import
internal import Instances
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// Who has the guest of a live migration, as far as this process knows.
enum LiveGuest {
  case running
  /// QEMU has paused it, and keeps it so if its migration has completed.
  case paused
  /// The commit has left, or may have, so that the destination may run it.
  /// - Parameter isTold: whether an error says so itself, and what to do.
  case handedOver(isTold: Bool)

  /// What a refusal says of it; nil where it says so itself.
  func consequence(of error: MigrationError) -> String? {
    switch self {
    // QEMU ends its stream early when its migration is cancelled, and when it ends itself.
    case .running where error.code == .streamTruncated:
      "the guest runs on in its QEMU, if that still runs"
    case .running: "the guest runs on in its QEMU"
    case .paused:
      "the guest was not handed over: where its QEMU has paused it, cont lets it run on"
    case .handedOver(isTold: false):
      "the guest may have been handed over: leave it paused unless it is lost at the destination"
    case .handedOver(isTold: true): nil
    }
  }
}

/// A live migration: the guest runs in a QEMU whose stream comes in while ours goes out.
extension SaveCommand {
  func validateLive(_ guest: String) throws {
    guard live else { return }
    guard inputFormat == .qemu || inputFormat == .auto else {
      throw ValidationError("--live reads a QEMU stream: it takes --input-format qemu.")
    }
    guard round.isEmpty, vmsa.files.isEmpty, qemu.channel.isEmpty, !qemu.isPlaced else {
      throw ValidationError(
        "--live reads one stream as it comes: --round, --vmsa, --channel, --offset, --length and --snapshot "
          + "are for saves of a guest at rest.")
    }
  }

  func saveLive(
    _ guest: String, to outputs: Outputs, _ parties: Parties, _ trace: SessionTrace?,
    _ place: inout LiveGuest?, _ console: Console
  ) throws {
    var additions = ImportAdditions()
    additions.machine = raw.machine
    additions.below4G = raw.below4G?.value
    additions.privateRanges = raw.privateRanges ?? GPARangeSet()
    ram.add(to: &additions)
    var stream = LiveImport(try StreamInput(opening: InputFile(guest)), additions)
    let begun = try stream.begin()
    let memory = try qemu.liveMemory(of: begun)
    let state = TrustedGuestState(pageStates: begun.pageStates, vcpus: [], services: [])
    let svsm = try svsm(parties, of: begun, state, memory == nil ? .hostLog : .compared, trace)
    let session = svsm.transferData
    let source = try LiveSource(
      begun, svsm: svsm, output: outputs.all, memory: memory, crew: jobs.crew)
    var side = LiveSide(stream, source, begun, outputs.recording, console)
    let summary: SaveSummary
    var handedOver = false
    do throws(MigrationError) {
      summary = try send(&side, to: outputs, of: session, parties, &handedOver, console) { _ in }
    } catch {
      if handedOver {
        place = .handedOver(isTold: parties.source != nil)
      } else if side.hasPaused {
        place = .paused
      }
      throw error
    }
    place = .handedOver(isTold: true)
    say(summary, outputs.stream.name, console)
    for line in LiveText.table(side.rounds) { console.note(line) }
    if let comparison = side.comparison {
      console.note(
        "private memory compared with what was sent in \(LiveText.milliseconds(comparison)) ms, paused"
      )
    } else if summary.privatePages > 0 {
      console.note(
        "freshness rests on QEMU's log of changed pages, from which a QEMU 7.2 under TCG loses some: "
          + "--memory lets the SVSM read them itself")
    }
    try end(outputs, begun.sharedNote, session, console)
  }
}

/// The source of a live migration: a QEMU's stream on its way into ours.
private struct LiveSide: SourceSide, ~Copyable {
  private var stream: LiveImport
  private var source: LiveSource
  private let memory: UInt64
  private let recording: Recording?
  private let progress: Progress
  private let start = ContinuousClock.now

  init(
    _ stream: consuming LiveImport, _ source: consuming LiveSource, _ guest: GuestDescription,
    _ recording: Recording?, _ console: Console
  ) {
    self.stream = stream
    self.source = source
    self.recording = recording
    memory = guest.ramBlocks.reduce(0) { $0 + $1.size }
    progress = console.startProgress("migrating", total: nil)
  }

  /// Whether QEMU has paused the guest.
  var hasPaused: Bool { stream.isPaused }
  var rounds: LiveRounds { source.rounds }
  var comparison: Duration? { source.comparison }

  mutating func sendGuest(progress _: (UInt64) -> Void) throws(MigrationError) {
    try source.begin()
    let (progress, recording, start, memory) = (progress, recording, start, memory)
    let paused = try stream.run(into: &source) { (source) throws(MigrationError) in
      try recording?.requireWhole()
      progress.update {
        LiveText.line(source.rounds, memory: memory, after: ContinuousClock.now - start)
      }
    }
    try source.finish(paused)
  }

  mutating func commit() throws(MigrationError) -> SaveSummary { try source.commit() }
}

extension QEMUInputOptions {
  /// The memory behind the guest's RAM blocks, as `--memory` names it; nil without that option.
  /// - Throws: `RAM-BLOCK` for a block that the guest does not have, or private memory in a block that
  ///   is not named; `INPUT-KIND`, `INPUT-OPEN`; `RAM-BLOCK` for a file of another size.
  func liveMemory(of guest: GuestDescription) throws(MigrationError) -> BlockFiles? {
    guard !memory.isEmpty else { return nil }
    var files = [InputFile?](repeating: nil, count: guest.ramBlocks.count)
    for given in memory {
      guard let index = guest.ramBlocks.firstIndex(where: { $0.name == "\(given.block)" }) else {
        throw MigrationError(
          .ramBlock, "block is not in the list", in: .ram, got: "\(given.block)")
      }
      guard files[index] == nil else {
        throw MigrationError(
          .ramBlock, "block has two files", in: .ram, expected: "\(.memory) once",
          got: "\(given.block)")
      }
      let file = try InputFile(given.path, .regular)
      guard file.size == guest.ramBlocks[index].size else {
        throw MigrationError(
          .ramBlock, "file has another size than RAM block \(given.block)", in: .file(file.name),
          expected: "\(guest.ramBlocks[index].size) bytes", got: "\(file.size ?? 0)")
      }
      files[index] = file
    }
    return try BlockFiles(live: files, of: guest)
  }
}
