internal import ArgumentParser
internal import Inspection
internal import Wire

/// The options of `svsm-mig-inspect` that ask for parts of a stream.
struct ShownParts: ParsableArguments {
  @Flag(help: "List all sections; with --verbose each part of one by itself.")
  var sections = false

  @Option(
    help: ArgumentHelp(
      "List the sections of this name, as --sections shows it or without its path, and show their "
        + "bytes; \"NAME 1\" is the one of instance 1.", valueName: "name"))
  var section: String?

  @Flag(
    help: """
      Show the fields of each device section, named by the VM description; with --verbose long \
      values in full.
      """)
  var devices = false

  @Option(
    help: ArgumentHelp("The same of the sections of this name.", valueName: "name"))
  var device: String?

  @Flag(help: "Show the registers of each vCPU by name; of an SNP stream with --instance.")
  var cpus = false

  @Flag(help: "List runs of private and shared pages.")
  var pages = false

  @Flag(
    help: "Show what came in each epoch, what it cost, and which pages were sent again most often.")
  var epochs = false

  @Option(
    help: ArgumentHelp(
      "Show all details of the page at this guest-physical address.",
      discussion: """
        Content of a private page is shown only with --instance. A plain QEMU stream is read twice: its \
        devices tell where memory lies.
        """, valueName: "gpa"))
  var page: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Write a part as it is: domain (the XML in a libvirt image), description (the VM description), "
        + "section:NAME or block:NAME (a RAM block of a plain QEMU stream).", valueName: "part"))
  var extract: ExtractedPart?

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "File to make with --extract; standard output by default.", valueName: "file"),
    completion: .file())
  var output: String?

  func validate() throws {
    guard devices == false || device == nil, sections == false || section == nil else {
      throw ValidationError(
        "--devices and --sections show all of them: leave --device and --section out.")
    }
    let kinds = [section != nil, device != nil, devices, cpus].count { $0 }
    guard kinds < 2 else {
      throw ValidationError("--section, --device, --devices and --cpus exclude each other.")
    }
    guard extract == nil || kinds == 0 && !sections && !pages && !epochs && page == nil else {
      throw ValidationError("--extract writes one part and shows nothing.")
    }
  }

  /// The sections that are asked for by name.
  var query: SectionQuery? { (section ?? device).map { SectionQuery($0) } }

  /// What is to be shown.
  var parts: InspectionParts {
    var parts = InspectionParts()
    parts.sections = sections
    parts.section = section.map { SectionQuery($0) }
    parts.pages = pages
    parts.epochs = epochs
    parts.devices = devices || device != nil
    parts.cpus = cpus
    return parts
  }

  /// What is to be collected for it.
  var options: InspectionOptions {
    var options = InspectionOptions()
    options.page = page.map { $0.value & ~4095 }
    options.countsEpochs = epochs
    if devices { options.bodies = .all }
    if cpus { options.bodies = .named(SectionQuery("cpu")) }
    if let query { options.bodies = .named(query) }
    return options
  }
}

/// A part of a stream, or of what is around it, that is written as it is.
enum ExtractedPart: ExpressibleByArgument {
  case domain
  case description
  case section(SectionQuery)
  case block(String)

  init?(argument: String) {
    let words = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    switch (words[0], words.count == 2 ? String(words[1]) : nil) {
    case ("domain", nil): self = .domain
    case ("description", nil): self = .description
    case ("section", let name?) where !name.isEmpty: self = .section(SectionQuery(name))
    case ("block", let name?) where !name.isEmpty: self = .block(name)
    default: return nil
    }
  }
}
