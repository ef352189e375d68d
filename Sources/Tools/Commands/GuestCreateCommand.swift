package import ArgumentParser
internal import Guest

/// `svsm-mig-guest create`: makes a synthetic guest.
package struct GuestCreateCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Make a synthetic guest.",
    discussion: """
      Private and shared memory alternate in runs of many lengths; pages are zero, patterned, text, \
      pointers or noise. The same options and seed give the same bytes on every machine. With a higher \
      --round, and all else alike, it is the same guest later.
      """)

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Folder of the bundle to make.", valueName: "folder"),
    completion: .directory)
  var output: String

  @Option(help: ArgumentHelp("Bytes of memory: 64M, 2G, 0x100000.", valueName: "size"))
  var memory: ByteCount

  @Option(help: ArgumentHelp("Number of vCPUs.", valueName: "count"))
  var vcpus = 1

  @Option(
    help: ArgumentHelp("Fraction of all pages that are private, 0 to 1.", valueName: "fraction"))
  var privateFraction = 0.5

  @Option(help: ArgumentHelp("Seed of all content; empty by default.", valueName: "hex"))
  var seed: HexBytes?

  @Option(help: ArgumentHelp("Machine type, which decides where memory lies.", valueName: "name"))
  var machine: String?

  @Option(
    name: .customLong("below-4g"),
    help: ArgumentHelp(
      "QEMU's max-ram-below-4g, where it was given: most memory below the hole at 4 GiB.",
      valueName: "size"))
  var below4G: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Bytes of a second RAM block far above the first; none by default.", valueName: "size"))
  var secondBlock: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Number of rounds it has run: in each, some pages, vCPUs and the vTPM change.",
      valueName: "number"))
  var round = 0

  @Option(
    help: ArgumentHelp(
      "Fraction of the pages that change in a round, 0 to 1.", valueName: "fraction"))
  var changedFraction = 0.05

  @Option(
    help: ArgumentHelp(
      "Fraction of the pages that the guest shares, frees or accepts in a round, 0 to 1.",
      valueName: "fraction"))
  var convertedFraction = 0.0

  @Option(
    help: ArgumentHelp(
      "Address of the secrets page; there is none if this is not private memory.", valueName: "gpa")
  )
  var secretsPage = Number(SyntheticGuest.usualSecretsPage)

  @OptionGroup var outputs: OutputOptions
  @OptionGroup package var common: CommonOptions

  package init() {}

  package func validate() throws {
    guard secretsPage.value % 4096 == 0 else {
      throw ValidationError("--secrets-page takes the address of a page: a multiple of 4096.")
    }
  }

  package func execute(_ console: Console) throws {
    var guest = SyntheticGuest(memory: memory.value)
    guest.vcpus = vcpus
    guest.privateFraction = privateFraction
    guest.seed = seed?.bytes ?? []
    if let machine { guest.machine = machine }
    guest.below4G = below4G?.value
    guest.secondBlock = secondBlock?.value ?? 0
    guest.round = round
    guest.changedFraction = changedFraction
    guest.convertedFraction = convertedFraction
    guest.secretsPage = secretsPage.value
    let total = memory.value.addingReportingOverflow(guest.secondBlock).partialValue
    let progress = console.startProgress("making", total: total)
    try guest.create(at: output, force: outputs.force) { progress.update($0) }
    console.note("made \(try guest.description().summary) in \(output)")
    console.noteLeftovers(of: [output])
  }
}
