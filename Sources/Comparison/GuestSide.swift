internal import Cryptography
internal import Errors
internal import Guest
internal import Inspection
internal import JSON
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

extension Side {
  /// What is known of a guest at rest.
  /// - Throws: `MACHINE-SYNTAX`; `VMDESC-SYNTAX`; `INTERNAL-CRYPTOGRAPHY`; `OUTPUT-CREATE`, `IO-WRITE`.
  convenience init(
    _ guest: GuestDescription, name: String, memory: PageDigests
  ) throws(MigrationError) {
    self.init(name, .guest)
    machine = guest.machine
    blocks = guest.ramBlocks.map { (SectionName($0.name)?.description ?? "", $0.size) }
    map = guest.map
    self.memory = memory
    states = guest.pageStates
    var configuration = Topic(.configuration, "", [Fact("machine", .string(machine))])
    let blocks = blocks
    topics[.block] = TopicList(blocks.map(\.name)) {
      Topic(.block, blocks[$0].name, [Fact("size", count: blocks[$0].size)])
    }
    topics[.map] = guest.map.topics(blocks.map(\.name))
    topics[.vcpu] = TopicList(vcpus: guest.vcpus)
    topics[.service] = try guest.services.topics()
    if let bytes = guest.machineState {
      let state = try MachineState(bytes)
      let uuid = state.configuration?.uuid
      configuration.facts.append(Fact("uuid", uuid.map { .hex(bytes: $0) } ?? .null))
      ofMachine = try state.sections
      topics[.command] = try state.commands
      if let text = state.description {
        descriptions = [
          DescriptionFacts("", size: text.count, hash: try SHA256.hash(text), text: text)
        ]
      }
      devices = try MachineDevices(machine: state)
    }
    topics[.configuration] = TopicList([configuration])
  }
}

extension MachineDevices {
  /// The full sections of a guest at rest.
  /// - Throws: `VMDESC-SYNTAX`; `OUTPUT-CREATE`, `IO-WRITE`.
  fileprivate init(machine state: MachineState) throws(MigrationError) {
    var bodies = KeptBodies()
    for case .section(let header, let body) in state.entries where header.kind == .full {
      bodies.keep(header, at: 0, body)
    }
    let description = try state.description.map { (text) throws(MigrationError) in
      try VMDescription(parsing: text)
    }
    try self.init(bodies, by: description)
  }
}

extension GuestMap {
  /// - Parameter names: of the blocks.
  func topics(_ names: [String]) -> TopicList {
    let ranges = ranges
    return TopicList(ranges.map { Hex.number($0.gpa) }) { index in
      let range = ranges[index]
      return Topic(
        .map, Hex.number(range.gpa),
        [
          Fact("size", count: range.size),
          Fact("block", .string(names.indices.contains(range.block) ? names[range.block] : "")),
          Fact("offset", .hex(range.offset)),
        ])
    }
  }
}

extension MachineState {
  /// Its sections, each once.
  var sections: [SectionFacts] {
    get throws(MigrationError) {
      var parts = SectionParts()
      var found: [SectionFacts] = []
      for case .section(let header, let body) in entries where header.kind != .full {
        try parts.take(header, body.span)
      }
      for case .section(let header, _) in entries {
        guard header.kind == .full || header.kind == .start else { continue }
        found.append(SectionFacts(header, content: try parts.content(of: header)))
      }
      return SectionFacts.distinct(found)
    }
  }

  /// Its commands, and what follows a section whose end is not known.
  var commands: TopicList {
    get throws(MigrationError) {
      var commands: [CommandFacts] = []
      var rest: [Topic] = []
      for entry in entries {
        switch entry {
        case .command(let command): commands.append(try CommandFacts(command))
        // Empty where an SVSM carries it, as a service that is compared.
        case .rest(let bytes) where !bytes.isEmpty:
          let hash = try SHA256.hash(bytes)
          rest.append(Topic(.command, "rest", [Fact("sha256", .hex(bytes: hash))]))
        case .section, .ram, .rest: break
        }
      }
      return TopicList(commands.topics() + rest)
    }
  }
}

extension [CommandFacts] {
  /// Each command by its number.
  func topics() -> [Topic] {
    enumerated().map { index, command in
      // The length of a package follows from what is in it.
      let cause: Cause? = command.code == .packaged ? .derived : nil
      let payload =
        switch command.payload {
        case .whole(let bytes): Fact("payload", .hex(bytes: bytes), cause)
        case .sha256(let hash): Fact("sha256", .hex(bytes: hash))
        }
      return Topic(.command, "\(index)", [Fact("code", .string(command.code.name)), payload])
    }
  }
}

extension TopicList {
  init(vcpus: [VCPUState]) { self.init(vcpus.map { "\($0.apicID)" }) { vcpus[$0].topic } }
}

extension VCPUState {
  var topic: Topic {
    let page = try? VMSA(vmsa)
    return Topic(
      .vcpu, "\(apicID)",
      [Fact("vmpl", count: vmpl)] + (page?.members ?? []).map { Fact($0.key, $0.value) }
        + (page?.reserved ?? []).map {
          Fact("reserved+\(Hex.number($0.offset))", .hex(bytes: $0.bytes))
        })
  }
}

extension [ServiceState] {
  func topics() throws(MigrationError) -> TopicList {
    var topics: [Topic] = []
    for service in self {
      topics.append(
        Topic(
          .service, service.kind.name,
          [
            Fact("mandatory", .bool(service.isMandatory)),
            Fact("version", count: service.version),
            Fact("generation", count: service.generation, .generation),
            Fact("size", count: service.blob.count),
            Fact("sha256", .hex(bytes: try SHA256.hash(service.blob))),
          ]))
    }
    return TopicList(topics)
  }
}

extension Topic {
  /// - Throws: `SECRETS-PAGE`.
  init(secretsPage page: [UInt8], at gpa: UInt64) throws(MigrationError) {
    let facts = try SecretsPage(page).members.map { Fact($0.key, $0.value) }
    self.init(.secretsPage, "", [Fact("gpa", .hex(gpa))] + facts)
  }
}
