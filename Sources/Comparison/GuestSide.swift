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
  /// - Throws: `MACHINE-SYNTAX`; `VMDESC-SYNTAX`; `INTERNAL-CRYPTOGRAPHY`.
  convenience init(
    _ guest: GuestDescription, name: String, memory: PageDigests
  ) throws(MigrationError) {
    self.init(name, .guest)
    machine = guest.machine
    blocks = guest.ramBlocks.map { (SectionName($0.name)?.description ?? "", $0.size) }
    map = guest.map
    self.memory = memory
    states = guest.pageStates
    topics[.configuration] = [Topic(.configuration, "", [Fact("machine", .string(machine))])]
    topics[.block] = blocks.map { Topic(.block, $0.name, [Fact("size", count: $0.size)]) }
    topics[.map] = guest.map.topics(blocks.map(\.name))
    topics[.vcpu] = guest.vcpus.map(\.topic)
    topics[.service] = try guest.services.topics()
    guard let bytes = guest.machineState else { return }
    let state = try MachineState(bytes)
    machineSections = state.topics
    let uuid = state.configuration?.uuid
    topics[.configuration]?[0].facts.append(
      Fact("uuid", uuid.map { .hex(bytes: $0) } ?? .null))
    var bodies = KeptBodies()
    for case .section(let header, let body) in state.entries where header.kind == .full {
      bodies.keep(header, at: 0, body.span)
    }
    let description = try state.description.map { (text) throws(MigrationError) in
      try VMDescription(parsing: text)
    }
    devices = MachineDevices(bodies, by: description)
  }
}

extension GuestMap {
  /// - Parameter names: of the blocks.
  func topics(_ names: [String]) -> [Topic] {
    ranges.map { range in
      Topic(
        .map, Hex.number(range.gpa),
        [
          Fact("size", count: range.size),
          Fact("block", .string(names.indices.contains(range.block) ? names[range.block] : "")),
          Fact("offset", .hex(range.offset)),
        ])
    }
  }
}

extension SectionHeader {
  var topic: Topic {
    Topic(
      .section, MachineDevices.Key(self).shown,
      [
        Fact("version", count: version & ~SNPSection.optionalBit),
        Fact("parts", .bool(kind != .full)),
      ])
  }
}

extension MachineState {
  /// Its sections, each once.
  var topics: [Topic] {
    var seen: Set<String> = []
    return entries.compactMap { entry in
      guard case .section(let header, _) = entry else { return nil }
      let topic = header.topic
      return seen.insert(topic.name).inserted ? topic : nil
    }
  }
}

extension VCPUState {
  var topic: Topic {
    let registers = (try? VMSA(vmsa))?.members ?? []
    return Topic(
      .vcpu, "\(apicID)",
      [Fact("vmpl", count: vmpl)] + registers.map { Fact($0.key, $0.value) })
  }
}

extension [ServiceState] {
  func topics() throws(MigrationError) -> [Topic] {
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
    return topics
  }
}

extension Topic {
  /// - Throws: `SECRETS-PAGE`.
  init(secretsPage page: [UInt8], at gpa: UInt64) throws(MigrationError) {
    let facts = try SecretsPage(page).members.map { Fact($0.key, $0.value) }
    self.init(.secretsPage, "", [Fact("gpa", .hex(gpa))] + facts)
  }
}
