internal import Guest
internal import JSON
internal import Migration
internal import SEVSNP
internal import Wire

extension GuestDescription {
  /// One clause: "pc-q35-10.0 with 64.0 MiB, half of it private, ...".
  var summary: String {
    let memory = Spelled.size(ramBlocks.reduce(0) { $0 + $1.size })
    let isPrivate = pageStates.runs.reduce(0) { $0 + ($1.state.isPrivate ? $1.pages : 0) }
    return "\(machine), \(memory), \(Spelled.count(isPrivate, "private page")), "
      + "\(Spelled.count(vcpus.count, "vCPU")), \(Spelled.count(services.count, "service"))"
  }

  /// Pages and runs in each state, in the order of the states.
  private var stateCounts: [(state: PageState, pages: UInt64, runs: Int)] {
    PageState.allCases.map { state in
      (state, pageStates.pages(in: state), pageStates.runs.count { $0.state == state })
    }
  }

  /// The guest as text.
  var text: String {
    var lines = ["machine   \(machine)"]
    if let moment {
      lines.append("moment    \(moment.text): incomplete, cannot run or be saved")
    }
    for (index, block) in ramBlocks.enumerated() {
      lines.append("block \(index)   \(block.name)  \(Spelled.size(block.size))")
      for range in map.ranges where range.block == index {
        lines.append(
          "          \(Hex.number(range.gpa))-\(Hex.number(range.end - 1))  "
            + "at offset \(Hex.number(range.offset))")
      }
    }
    for (state, pages, runs) in stateCounts where pages > 0 {
      let name = "\(state)".padded(to: 10)
      lines.append(
        "pages     \(name)  \(Spelled.count(pages, "page")) in \(Spelled.count(runs, "run"))")
    }
    for (vcpu, saved) in zip(vcpus, savedEFERs) {
      guard let vmsa = try? VMSA(vcpu.vmsa) else { continue }
      let before = saved.map { " (\(Hex.number($0)) before the import)" } ?? ""
      lines.append(
        "vCPU      APIC id \(vcpu.apicID)  VMPL \(vcpu.vmpl)  RIP \(Hex.number(vmsa.rip))  "
          + "CR3 \(Hex.number(vmsa.cr3))  EFER \(Hex.number(vmsa.efer))\(before)  "
          + "SEV_FEATURES \(Hex.number(vmsa.features.rawValue))")
    }
    for service in services {
      lines.append(
        "service   \(service.kind.name)  version \(service.version)  "
          + "generation \(service.generation)  \(Spelled.count(service.blob.count, "byte"))")
    }
    return lines.map { RenderedText.printable($0) + "\n" }.joined()
  }

  /// The guest as JSON, schema `svsm-migration/guest/2` (`Formats/json.md`).
  var json: JSON {
    let blocks = ramBlocks.map { block -> JSON in
      ["name": .string(block.name), "size": JSON(block.size)]
    }
    let ranges = map.ranges.map { range -> JSON in
      [
        "gpa": .hex(range.gpa), "size": JSON(range.size),
        "block": JSON(range.block), "offset": .hex(range.offset),
      ]
    }
    let states = stateCounts.map { entry -> JSON in
      [
        "state": .string("\(entry.state)"), "pages": JSON(entry.pages), "runs": JSON(entry.runs),
      ]
    }
    var members: [JSON.Member] = [
      .init("schema", "svsm-migration/guest/2"), .init("machine", .string(machine)),
    ]
    if let moment { members.append(.init("incomplete", moment.json)) }
    members += [
      .init("ram", .array(blocks)), .init("map", .array(ranges)),
      .init("pageStates", .array(states)),
      .init("vcpus", .array(zip(vcpus, savedEFERs).map { Self.json($0, savedEFER: $1) })),
      .init("services", .array(services.map(Self.json))),
    ]
    return .object(members)
  }

  /// EFER of each vCPU as the stream had it from which the guest was imported; nil where the import has
  /// not changed it.
  private var savedEFERs: [UInt64?] {
    let machine = machineState.flatMap { try? MachineState($0) }
    let saved = (try? machine?.savedRegisters()) ?? []
    return vcpus.indices.map { index in
      guard index < saved.count, let efer = saved[index]?.efer,
        let vmsa = try? VMSA(vcpus[index].vmsa), vmsa.efer != efer
      else { return nil }
      return efer
    }
  }

  private static func json(_ vcpu: VCPUState, savedEFER: UInt64?) -> JSON {
    var members: [JSON.Member] = [
      .init("apicID", JSON(vcpu.apicID)), .init("vmpl", JSON(vcpu.vmpl)),
    ]
    if let vmsa = try? VMSA(vcpu.vmsa) {
      members += [
        .init("RIP", .hex(vmsa.rip)), .init("RSP", .hex(vmsa.rsp)), .init("CR0", .hex(vmsa.cr0)),
        .init("CR3", .hex(vmsa.cr3)), .init("CR4", .hex(vmsa.cr4)), .init("EFER", .hex(vmsa.efer)),
        .init("SEV_FEATURES", .hex(vmsa.sevFeatures)),
      ]
    }
    if let savedEFER { members.append(.init("savedEFER", .hex(savedEFER))) }
    return .object(members)
  }

  private static func json(_ service: ServiceState) -> JSON {
    [
      "kind": .string(service.kind.name), "mandatory": .bool(service.isMandatory),
      "version": JSON(service.version), "generation": JSON(service.generation),
      "size": JSON(service.blob.count),
    ]
  }
}

extension Console {
  /// Prints that an exported guest is the memory of a moment within a stream, if it is.
  func note(incomplete guest: GuestDescription) {
    guard let moment = guest.moment else { return }
    note("incomplete: memory as it was at \(moment.text), without vCPUs")
  }

  /// Prints what an import added to the vCPUs of a plain guest.
  func noteAdapted(_ guest: GuestDescription) {
    guard let vcpu = guest.vcpus.first, let vmsa = try? VMSA(vcpu.vmsa) else { return }
    note(
      "vCPUs made fit for SNP: EFER.SVME set, SEV_FEATURES \(Spelled.list(vmsa.features.setBits)), "
        + "VMPL \(vcpu.vmpl); svsm-mig-guest show has EFER as it was saved")
  }

}

extension GuestDescription {
  /// Which memory is shared, for each block; nil for a guest without private memory, or without shared.
  var sharedNote: String? {
    let shared = sharedMemory
    guard !shared.isEmpty, pageStates.runs.contains(where: { $0.state.isPrivate }) else {
      return nil
    }
    let blocks = shared.map { "\($0.block.name) \(Spelled.size($0.size))" }
    return "shared memory: " + blocks.joined(separator: ", ")
  }

  /// Bytes of each RAM block that are not private, for blocks that have any: those of shared pages,
  /// and those that no guest-physical address maps. Memory that a stream carries sealed is not
  /// counted.
  var sharedMemory: [(block: RAMBlock, size: UInt64)] {
    var isHidden = [UInt64](repeating: 0, count: ramBlocks.count)
    for block in map.sealedBlocks(of: ramBlocks) { isHidden[block] = ramBlocks[block].size }
    for run in pageStates.runs where run.state.isPrivate {
      var gpa = run.gpa
      while gpa < run.end, let place = map.locate(gpa) {
        let size = min(place.available, run.end - gpa)
        isHidden[place.block] += size
        gpa += size
      }
    }
    return zip(ramBlocks, isHidden).filter { $0.size > $1 }.map { ($0, $0.size - $1) }
  }
}
