internal import ArgumentParser
internal import Compatibility
internal import Errors
internal import FileIO
internal import QEMUStream

/// The options that describe a destination to `svsm-mig-verify` (`Formats/target.md`).
struct TargetOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Check instead whether a QEMU can load the stream; give its -dump-vmstate file.",
      discussion: "On the destination: qemu-system-x86_64 -M MACHINE -dump-vmstate FILE.",
      valueName: "dump"),
    completion: .file(extensions: ["json"]))
  var target: String?

  @Option(
    help: ArgumentHelp(
      "Dump of a source, in place of a stream: compare all that its QEMU writes with --target.",
      valueName: "dump"),
    completion: .file(extensions: ["json"]))
  var source: String?

  @Option(
    help: ArgumentHelp(
      "What the destination's QEMU prints with -machine help.", valueName: "file"),
    completion: .file())
  var targetMachines: String?

  @Option(
    help: ArgumentHelp(
      "What the destination's QEMU prints with -device help.", valueName: "file"),
    completion: .file())
  var targetDevices: String?

  @Option(
    help: ArgumentHelp(
      "Size of a RAM block at the destination: pc.ram=2G (may be repeated).",
      valueName: "block=size"))
  var targetRAM: [RAMSize] = []

  func validate() throws {
    let areAlone = targetMachines == nil && targetDevices == nil && targetRAM.isEmpty
    guard target != nil || source == nil && areAlone else {
      throw ValidationError(
        "--source, --target-machines, --target-devices and --target-ram belong to --target.")
    }
    guard source == nil || areAlone else {
      throw ValidationError(
        "--target-machines, --target-devices and --target-ram are for a stream, not for --source.")
    }
    let names = targetRAM.map(\.name)
    guard Set(names).count == names.count else {
      throw ValidationError("--target-ram names a block twice.")
    }
  }

  /// Paths of the files to read.
  var files: [String] { [target, source, targetMachines, targetDevices].compactMap { $0 } }

  /// The description of the destination, read from the files.
  /// - Throws: the errors of reading files; `TARGET-SYNTAX`.
  func load(_ target: String) throws(MigrationError) -> Target {
    Target(
      try MachineDump(file: target),
      machines: try targetMachines.map { (path) throws(MigrationError) in
        try TargetList(machines: readSmallFile(path, limit: TargetList.sizeLimit), name: path)
      },
      devices: try targetDevices.map { (path) throws(MigrationError) in
        try TargetList(devices: readSmallFile(path, limit: TargetList.sizeLimit), name: path)
      }, ramSizes: targetRAM.map { ($0.name, $0.size) })
  }
}

extension MachineDump {
  /// - Throws: the errors of reading a file; `TARGET-SYNTAX`.
  init(file path: String) throws(MigrationError) {
    try self.init(parsing: readSmallFile(path, limit: Self.sizeLimit), name: path)
  }
}

/// The size of a RAM block on the command line: `pc.ram=2G`.
struct RAMSize: ExpressibleByArgument {
  var name: SectionName
  /// Size in bytes.
  var size: UInt64

  init?(argument: String) {
    guard let sign = argument.lastIndex(of: "="), let name = SectionName(String(argument[..<sign])),
      let size = ByteCount(argument: String(argument[argument.index(after: sign)...]))?.value
    else { return nil }
    (self.name, self.size) = (name, size)
  }
}
