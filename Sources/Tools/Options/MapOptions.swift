internal import ArgumentParser
internal import Import

/// What a QEMU stream or raw image does not tell of the addresses of its memory.
struct MapOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Machine type, which decides where memory lies; a QEMU stream names its own.",
      valueName: "name"))
  var machine: String?

  @Option(
    name: .customLong("below-4g"),
    help: ArgumentHelp(
      "QEMU's max-ram-below-4g, where it was given: most memory below the hole at 4 GiB.",
      valueName: "size"))
  var below4G: ByteCount?

  @OptionGroup var ram: RAMOptions

  var isGiven: Bool { machine != nil || below4G != nil || ram.isGiven }

  var additions: ImportAdditions {
    var additions = ImportAdditions()
    additions.machine = machine
    additions.below4G = below4G?.value
    ram.add(to: &additions)
    return additions
  }
}
