internal import ArgumentParser
internal import Errors
package import Guest
internal import Import
internal import Migration
internal import QEMUStream
internal import Wire

/// The options `--ram` and `--not-ram`: the positions of a QEMU stream's RAM blocks in
/// guest-physical memory, which the stream does not always contain.
struct RAMOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "RAM block that is memory of the guest, and its guest-physical address where it was plugged "
        + "in; without address a part of main memory, all of them in order (may be repeated).",
      valueName: "block[@gpa]"))
  var ram: [RAMPlace] = []

  @Option(
    help: ArgumentHelp(
      "RAM block that is not guest memory: it has no address and is shared (may be "
        + "repeated).", valueName: "block"))
  var notRAM: [String] = []

  var isGiven: Bool { !ram.isEmpty || !notRAM.isEmpty }

  func add(to additions: inout ImportAdditions) {
    additions.places = ram
    additions.notRAM = notRAM
  }
}

extension RAMPlace: ExpressibleByArgument {
  package init?(argument: String) { self.init(parsing: argument) }
}
