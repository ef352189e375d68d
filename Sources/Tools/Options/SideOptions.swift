internal import ArgumentParser
internal import Comparison
internal import Import
internal import QEMUStream

/// One of the two sides of a comparison, by the letter that the text has for it.
enum ComparedSide: String, CaseIterable {
  case before = "A"
  case after = "B"
}

/// The value of an option for one side, `A=VALUE` or `B=VALUE`, or for both, without a letter.
struct SideValue<Value: ExpressibleByArgument>: ExpressibleByArgument {
  /// Nil for both.
  let side: ComparedSide?
  let value: Value

  init?(argument: String) {
    side = ComparedSide.allCases.first { argument.hasPrefix("\($0.rawValue)=") }
    guard let value = Value(argument: side == nil ? argument : String(argument.dropFirst(2))) else {
      return nil
    }
    self.value = value
  }
}

/// The options that say where a side is in its file, and what comes beside it: those of the other tools, with the
/// side in front of the value.
struct SideOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Capture of a multifd channel that belongs to side A or B (may be repeated).",
      discussion: """
        A value of this option and of the next four is for one side when A= or B= is in front of it, else for \
        both.
        """, valueName: "side=file"),
    completion: .file())
  var channel: [SideValue<String>] = []

  @Option(
    help: ArgumentHelp("Byte of the file at which a stream begins.", valueName: "side=n"))
  var offset: [SideValue<ByteCount>] = []

  @Option(
    help: ArgumentHelp(
      "Length of a stream in its file, in bytes; what follows it is not read.", valueName: "side=n")
  )
  var length: [SideValue<ByteCount>] = []

  @Option(
    help: ArgumentHelp(
      "Internal snapshot of a qcow2 image whose VM state is the stream, by name or id.",
      valueName: "side=snapshot"))
  var snapshot: [SideValue<String>] = []

  @Option(
    help: ArgumentHelp(
      "RAM block that x-ignore-shared left out of a stream, and the file that backs it (may be "
        + "repeated).", valueName: "side=block=file"))
  var memory: [SideValue<BlockMemoryFile>] = []

  var isGiven: Bool {
    !(channel.isEmpty && offset.isEmpty && length.isEmpty && snapshot.isEmpty && memory.isEmpty)
  }

  /// - Parameters:
  ///   - before: path of side A.
  ///   - after: path of side B.
  func validate(with before: String, _ after: String) throws {
    let streams = [before, after] + channel.map(\.value)
    guard streams.count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("Standard input can be one input only.")
    }
    guard !snapshot.contains(where: { $0.value == StreamPlaceOptions.list }) else {
      throw ValidationError("--snapshot list is for svsm-mig-inspect.")
    }
    for side in ComparedSide.allCases {
      let counts = [
        "--offset": Self.values(offset, of: side).count,
        "--length": Self.values(length, of: side).count,
        "--snapshot": Self.values(snapshot, of: side).count,
      ]
      if let option = counts.keys.sorted().first(where: { counts[$0] ?? 0 > 1 }) {
        throw ValidationError("\(option): give this option only once for each side.")
      }
      guard counts["--snapshot"] == 0 || counts["--offset"] == 0 && counts["--length"] == 0 else {
        throw ValidationError("--snapshot excludes --offset and --length of the same side.")
      }
    }
  }

  /// A side, and what the options say of it.
  func source(_ path: String, of side: ComparedSide) -> Side.Source {
    var source = Side.Source(path)
    source.place.offset = Self.values(offset, of: side).first?.value ?? 0
    source.place.length = Self.values(length, of: side).first?.value
    source.place.snapshot = Self.values(snapshot, of: side).first
    source.channels = Self.values(channel, of: side)
    source.memory = Self.values(memory, of: side).map { ($0.block, $0.path) }
    return source
  }

  private static func values<Value>(_ all: [SideValue<Value>], of side: ComparedSide) -> [Value] {
    all.filter { $0.side == nil || $0.side == side }.map(\.value)
  }
}
