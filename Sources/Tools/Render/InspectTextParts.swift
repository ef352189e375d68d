internal import Cryptography
internal import Errors
internal import Guest
internal import Import
internal import Inspection
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// The parts of an inspection that are shown on request, in place of the overview.
extension InspectionText {
  mutating func requested(_ write: Write) throws(MigrationError) {
    if parts.blocks { blocks() }
    if parts.sections || parts.section != nil { try sections(write) }
    if parts.section != nil { bodies() }
    if parts.pages { try pages(write) }
    if let rounds = found.rounds { try self.rounds(rounds, write) }
    if let page = found.page { self.page(page) }
    if parts.cpus { try cpus(write) }
    if parts.devices { try devices(write) }
  }

  // MARK: Sections and pages

  /// The bytes of sections.
  private mutating func bodies() {
    for entry in found.bodies.entries {
      title("\(entry.header.name) \(entry.header.instance)")
      for line in HexDump.lines(entry.body, at: entry.offset) { out.line("  " + line) }
    }
    omittedBodies()
  }

  private mutating func omittedBodies() {
    guard found.bodies.omitted > 0 else { return }
    out.line()
    out.line("\(Spelled.count(found.bodies.omitted, "section")) too large to be kept")
  }

  private mutating func sections(_ write: Write) throws(MigrationError) {
    title("Sections")
    let heads = ["offset", "type", "id", "name", "instance", "version", "body"]
    let lines = found.sections.lines
    try table(heads, of: lines.elements, omitted: lines.omitted, write) { [parts] line in
      let header = line.header
      guard parts.lists(header) else { return nil }
      let optional = header.version & SNPSection.optionalBit != 0
      return [
        Hex.number(header.offset),
        header.kind.text + (line.count > 1 ? " x\(line.count)" : ""), "\(header.id)",
        header.name.description, "\(header.instance)",
        optional
          ? "\(header.version & ~SNPSection.optionalBit) optional" : "\(header.version)",
        "\(line.size)" + (line.isCut ? " read, then refused" : ""),
      ]
    }
  }

  private mutating func pages(_ write: Write) throws(MigrationError) {
    if found.kind == .snp {
      title("Private page records")
      let heads = ["guest-physical", "pages", "epoch", "operation", "RMP size", "VMPL0/1/2/3"]
      let runs = found.privatePages.runs
      try table(heads, of: runs.elements, omitted: runs.omitted, write) { run in
        [
          Spelled.range(run.gpa, pages: run.pages), "\(run.pages)", "\(run.epoch)",
          run.operation.text, run.size.text, Spelled.permissions(run.permissions),
        ]
      }
    }
    title(found.kind == .snp ? "Shared page records" : "RAM page records")
    let hasEpochs = found.kind == .snp
    let size = UInt64(found.sharedPages.page.size)
    let runs = found.sharedPages.runs
    try table(
      ["block", "offset", "guest-physical"] + (hasEpochs ? ["epoch"] : []) + ["content", "zero"],
      of: runs.elements, omitted: runs.omitted, write
    ) { [self] run in
      [
        blockName(run.block), Spelled.range(run.offset, pages: run.pages, of: size),
        found.map.gpa(block: run.block, offset: run.offset).map { Hex.number($0) } ?? "-",
      ] + (hasEpochs ? ["\(run.epoch)"] : []) + ["\(run.content)", "\(run.zero)"]
    }
  }

  mutating func page(_ page: PageFacts) {
    title("Page \(Hex.number(page.gpa))")
    guard let place = page.place else {
      out.line("  no memory is mapped there")
      return
    }
    out.field(
      "backed by", "\(blockName(place.block)) from \(Hex.number(place.offset))", indent: 2)
    if page.privateRecords.isEmpty, page.sharedRecords.isEmpty {
      out.line("  " + withoutRecord(page))
    }
    for record in page.privateRecords {
      let metadata = record.metadata
      out.field(
        "private",
        "\(metadata.operation.text), epoch \(metadata.epoch), sequence "
          + "\(metadata.sequence), \(metadata.size.text), VMPL0/1/2/3 "
          + "\(Spelled.permissions(metadata.permissions))", indent: 2)
      out.field("", "record at byte \(Hex.number(record.offset))", indent: 2)
      out.field("", "tag \(Hex.encode(record.tag))", indent: 2)
      out.field("", "ciphertext SHA-256 \(Hex.encode(record.ciphertextHash))", indent: 2)
    }
    for record in page.sharedRecords {
      out.field(
        "shared", "\(record.form.rawValue), at byte \(Hex.number(record.offset))", indent: 2)
    }
    more(UInt64(page.omitted))
    if let bytes = page.plaintext ?? page.restored ?? page.lastShared?.content {
      for line in HexDump.lines(bytes, at: page.gpa) { out.line("  " + line) }
    } else if page.lastOperation.map({ $0 != .cancel }) == true {
      out.line("  content is encrypted: name the destination with --instance to see it")
    }
  }

  /// Why a page has no record.
  private func withoutRecord(_ page: PageFacts) -> String {
    if found.kind == .snp {
      return "no record of it in the stream: not accepted by the guest, or the secrets page"
    }
    return page.restored == nil
      ? "the stream does not have it" : "its content is in a channel, a file or the mapped pages"
  }

  // MARK: With keys

  mutating func state(_ state: RestoredState, _ write: Write) throws(MigrationError) {
    for vcpu in state.guest.vcpus {
      title("vCPU with APIC id \(vcpu.apicID), VMPL \(vcpu.vmpl)")
      try RegisterText.show(VMSA(vcpu.vmsa), isWhole: true, &out)
      try flush(write)
    }
    for service in state.guest.services {
      title("Service \(service.kind.name)")
      out.field(
        "state",
        "version \(service.version), generation \(service.generation), "
          + (service.isMandatory ? "mandatory" : "optional"), indent: 2)
      out.field("size", Spelled.bytes(UInt64(service.blob.count)), indent: 2)
      out.field("SHA-256", Hex.encode(try SHA256.hash(service.blob)), indent: 2)
    }
    title("Page states")
    try table(nil, of: state.guest.pageStates.runs, write) { run in
      [
        Spelled.range(run.gpa, pages: run.pages), Spelled.count(run.pages, "page"),
        run.state.text, run.size.text, Spelled.permissions(run.permissions),
      ]
    }
    guard let secrets = state.secretsPage else { return }
    title("Secrets page at \(Hex.number(secrets.gpa)), to be rebuilt")
    for fact in try DecodedState.facts(secrets.page) {
      out.field(fact.name, fact.text, indent: 2)
    }
  }

  // MARK: Channels

  mutating func show(_ channel: MultifdChannel) {
    out.field(
      "channel \(channel.id)",
      "\(Spelled.count(channel.packets, "packet")), "
        + "\(Spelled.count(channel.normalPages, "page")) with content, "
        + "\(Spelled.count(channel.zeroPages, "zero page")), "
        + (channel.method?.name ?? "no method"), indent: 2)
    guard !channel.deviceState.isEmpty else { return }
    out.field("", "\(Spelled.bytes(channel.deviceStateBytes)) of device state", indent: 2)
    out.table(
      limited(channel.deviceState, omitted: channel.deviceStateOmitted) { state in
        [
          "\(state.device?.description ?? "no name") \(state.instance)",
          state.vfio.map { "\($0.kind.rawValue) \($0.index)" } ?? "unknown",
          Spelled.bytes(UInt64(state.size)),
        ]
      }, indent: 20)
  }

  // MARK: Devices

  mutating func devices(_ write: Write) throws(MigrationError) {
    var devices = DecodedDevice.Decoding(found)
    while let device = devices.next() {
      title("\(device.name) \(device.instance)")
      try device.show(&out, isFull: parts.isFull)
      try flush(write)
    }
    omittedBodies()
  }

  // MARK: CPUs

  /// The registers of each vCPU by name: from the sections of a plain stream, or decrypted.
  private mutating func cpus(_ write: Write) throws(MigrationError) {
    if found.kind == .snp {
      for vcpu in found.state?.guest.vcpus ?? [] {
        title("vCPU with APIC id \(vcpu.apicID), VMPL \(vcpu.vmpl)")
        try RegisterText.show(VMSA(vcpu.vmsa), isWhole: parts.isFull, &out)
        try flush(write)
      }
      if found.state == nil {
        out.line("The registers are encrypted: name the destination with --instance to see them.")
      }
      return
    }
    var sections = DecodedDevice.Decoding(found)
    while let section = sections.next() {
      guard section.name == "cpu" else { continue }
      title("CPU \(section.instance)")
      if let registers = try? section.registers() {
        RegisterText.show(registers, isWhole: false, &out)
      } else {
        try section.show(&out, isFull: parts.isFull)
      }
      try flush(write)
    }
    if !hasTitle { out.line("The stream has no section of a CPU.") }
  }
}
