package import ArgumentParser
internal import Comparison
internal import Errors
internal import FileIO
internal import Import
internal import Inspection
internal import Instances
internal import JSON
internal import SEVSNP

/// `svsm-mig-diff`: tells what differs between two streams or guests.
package struct DiffCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-diff",
    abstract: "Tell what differs between two streams or guests.",
    discussion: """
      Each side is an SNP migration stream, a plain QEMU stream, an image of libvirt, a packed stream, a \
      snapshot in a qcow2 image or the folder of a guest. Everything that is the same is left out, and what follows from one cause is \
      one line.

      Exit status 0: nothing differs; 1: something does, or a golden file is not as it should be.
      """,
    version: Toolkit.version)

  @Argument(help: "First side: a stream, or a guest's folder; - is standard input.")
  var before: String?

  @Argument(help: "Second side.")
  var after: String?

  @Option(
    help: ArgumentHelp(
      "Instance file of the streams' destination; given twice, of the first's and of the second's.",
      discussion: """
        Private pages, vCPUs, services and page states are compared in the clear then. The roots of AMD and of \
        the model platforms are trusted for that; --trust names further ones.
        """,
      valueName: "file"), completion: .file())
  var instance: [String] = []

  @Option(
    help: ArgumentHelp(
      "Leave out what differs for this cause, or fits this pattern (may be repeated).",
      discussion: """
        Causes: clock, rtc, session, generation, registers, derived. A pattern is AREA/NAME/FIELD, in which * \
        stands for any characters: device/hpet/timer*. With --trace: the name of a member, such as offset.
        """,
      valueName: "rule"))
  var ignore: [String] = []

  @Option(
    help: ArgumentHelp(
      "In place of two sides: make the golden files of this folder again, and tell what differs.",
      valueName: "folder"), completion: .directory)
  var golden: String?

  @Flag(help: "With --golden: write the files that differ or are missing to the expected ones.")
  var update = false

  @Flag(
    help: """
      The two sides are traces (--trace of save, load and verify): tell the first step that differs.
      """)
  var trace = false

  @Flag(help: "Print JSON instead of text.")
  var json = false

  @OptionGroup var sides: SideOptions
  @OptionGroup var trust: TrustOptions
  @OptionGroup var jobs: JobsOption
  @OptionGroup package var common: CommonOptions

  package init() {}

  package var wantsJSON: Bool { json }

  package func validate() throws {
    guard golden == nil else {
      guard before == nil, isBare, ignore.isEmpty, !trace else {
        throw ValidationError(
          "--golden takes no other input, no --trace, and no option that is about two sides.")
      }
      return
    }
    guard !update else { throw ValidationError("--update is for --golden.") }
    guard let before, let after else { throw ValidationError("Name two streams or guests.") }
    try sides.validate(with: before, after)
    guard !trace || isBare else {
      throw ValidationError(
        "--trace compares steps: --instance, --channel, --offset, --length, --snapshot and --memory "
          + "are for streams.")
    }
    if !trace { _ = try rules() }
    guard instance.count <= 2 else {
      throw ValidationError("--instance: once for both sides, or once for each.")
    }
  }

  /// Whether no option is given that is about streams or guests alone.
  private var isBare: Bool { instance.isEmpty && !sides.isGiven }

  private func rules() throws -> [IgnoreRule] {
    try ignore.map { text in
      guard let rule = IgnoreRule(parsing: text) else {
        throw ValidationError("--ignore '\(text)': neither a cause nor AREA/NAME/FIELD.")
      }
      return rule
    }
  }

  package func execute(_ console: Console) throws {
    if let golden { return try run(golden, console) }
    guard let before, let after else { return }
    if trace { return try compareTraces(before, after, console) }
    let opening = try Side.Opening(crew: jobs.crew)
    let one = try side(sides.source(before, of: .before), instance.first, opening, console)
    let other = try side(sides.source(after, of: .after), instance.last, opening, console)
    let comparison = try Comparison(one, other, ignoring: rules())
    if json {
      try ComparisonJSON.render(comparison) { (text) throws(MigrationError) in
        try console.write(text)
      }
    } else {
      try ComparisonText.render(comparison, isLong: common.verbose, style: console.style) {
        (text) throws(MigrationError) in
        try console.write(text)
      }
    }
    if !instance.isEmpty { console.noteModel() }
    guard comparison.isEqual else { throw ExitCode(1) }
  }

  private func compareTraces(_ before: String, _ after: String, _ console: Console) throws {
    func open(_ path: String) throws(MigrationError) -> NamedTrace {
      let file = try InputFile(path)
      return NamedTrace(FileSource(file), named: file.name)
    }
    let (one, other) = (try open(before), try open(after))
    let difference = try firstDifference(of: one, and: other, ignoring: Set(ignore))
    if json {
      try console.write(TraceDifference.json(difference, one.name, other.name))
    } else {
      try console.write(difference?.text(one.name, other.name) ?? "equal\n")
    }
    guard difference == nil else { throw ExitCode(1) }
  }

  /// Runs the scenarios of a folder.
  private func run(_ folder: String, _ console: Console) throws {
    let run = try GoldenRun(folder, update: update, crew: jobs.crew, keys: keys(of:))
    let progress = console.startProgress(
      "running", total: UInt64(run.scenarios.count), unit: .each("scenarios"))
    var outcomes: [GoldenOutcome] = []
    for scenario in run.scenarios {
      outcomes.append(try run.run(scenario))
      progress.update(UInt64(outcomes.count))
    }
    if json {
      try console.write(RenderGolden.json(outcomes))
    } else {
      for outcome in outcomes {
        try console.write(
          RenderGolden.text(outcome, isLong: common.verbose, style: console.style))
      }
      try console.write(RenderGolden.verdict(outcomes))
    }
    guard outcomes.allSatisfy(\.isGood) else { throw ExitCode(1) }
  }

  private func keys(of path: String) throws(MigrationError) -> Rehearsal.Keys {
    // The model's root is accepted here without being named, since a comparison makes no decision.
    Rehearsal.Keys(
      instance: try InstanceFile(reading: path).instance,
      anchors: try trust.anchors() + TrustAnchor.model)
  }

  /// - Parameter instance: path of the instance that opens the side.
  private func side(
    _ source: Side.Source, _ instance: String?, _ opening: Side.Opening, _ console: Console
  ) throws(MigrationError) -> Side {
    let keys = try instance.map { (path) throws(MigrationError) in try self.keys(of: path) }
    let progress = console.startProgress("reading", total: nil)
    return try opening.side(of: source, keys: keys) { progress.update($0, of: $1) }
  }
}
