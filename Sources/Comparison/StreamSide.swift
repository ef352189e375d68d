internal import Cryptography
internal import Errors
internal import Guest
internal import Import
internal import Inspection
internal import JSON
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// What is known of a stream.
struct StreamSide {
  private let found: InspectedStream
  private let side: Side

  /// - Parameter hasKeys: whether the destination's keys opened an SNP stream.
  init(_ found: InspectedStream, name: String, memory: PageDigests?, hasKeys: Bool) {
    self.found = found
    side = Side(name, found.kind == .snp ? .snp : .qemu)
    side.memory = memory
    side.isOpen = found.kind == .qemu || hasKeys
  }

  /// - Throws: `INTERNAL-CRYPTOGRAPHY`; `OUTPUT-CREATE`, `IO-WRITE`, `IO-READ`.
  func collect() throws(MigrationError) -> Side {
    side.machine = found.configuration?.machineText ?? ""
    side.size = found.size
    side.blocks = found.blocks.map { ($0.name, $0.length) }
    side.map = found.hasMap ? found.map : nil
    side.devices = try MachineDevices(bodies(), by: description())
    side.topics[.file] = TopicList([file])
    side.topics[.configuration] = TopicList([configuration])
    let leftOut = Set(found.leftOut.map(\.description))
    side.leftOutBlocks = Set(
      found.blocks.indices.filter { leftOut.contains(found.blocks[$0].name) })
    side.topics[.block] = blocks
    side.topics[.map] = side.map?.topics(side.blocks.map(\.name))
    if let machine = found.machine { side.ofMachine = try machine.sections }
    // The machine's sections that an SNP stream does not have as sections come last.
    side.sections = SectionFacts.distinct(
      try sections() + side.ofMachine.filter { $0.key.name != RAMSection.name })
    if let machine = found.machine {
      side.topics[.command] = try machine.commands
    } else {
      side.topics[.command] = TopicList(found.commands.topics())
    }
    side.topics[.seal] = TopicList(seal)
    if let size = found.descriptionSize, let hash = found.descriptionHash {
      side.descriptions.append(
        DescriptionFacts("", size: size, hash: hash, text: found.description?.json.compact ?? []))
    }
    if let text = found.machine?.description {
      side.descriptions.append(
        DescriptionFacts("machine", size: text.count, hash: try SHA256.hash(text), text: text))
    }
    if found.kind == .snp { try collectSNP() } else { try collectVCPUs() }
    return side
  }

  /// The sections of the stream itself; one in parts has a line for each run of them.
  private func sections() throws(MigrationError) -> [SectionFacts] {
    try found.sections.lines.elements.map { (line) throws(MigrationError) in
      let header = line.header
      let content = header.kind == .start ? try found.parts.content(of: header) : nil
      return SectionFacts(header, size: line.size, content: content)
    }
  }

  /// Bodies of sections; with keys also of those that the SVSM carries: vCPUs and the TPM.
  private func bodies() throws(MigrationError) -> KeptBodies {
    var bodies = found.bodies
    guard let machine = found.machine, let services = found.state?.guest.services else {
      return bodies
    }
    for (header, body) in try machine.opened(by: services) where header.kind == .full {
      bodies.keep(header, at: 0, body)
    }
    return bodies
  }

  /// The description of the machine; that at the end of an SNP stream lacks the sections that travel sealed.
  private func description() throws(MigrationError) -> VMDescription? {
    guard found.state != nil, let text = found.machine?.description else {
      return found.description
    }
    return try VMDescription(parsing: text)
  }

  // MARK: Any stream

  private var file: Topic {
    var facts = [
      Fact("size", count: found.size, .derived),
      Fact("packing", found.packing.map { .string($0.rawValue) } ?? .null),
      Fact("padding", count: found.padding),
      // The reader of SNP streams demands them.
      Fact("footers", (found.kind == .snp ? true : found.hasFooters).map { .bool($0) } ?? .null),
      Fact("dialect", (found.confidential?.dialect).map { .string($0.rawValue) } ?? .null),
      Fact("encryptedPages", count: found.confidential?.pages.distinct ?? 0),
      Fact("description", .bool(found.descriptionSize != nil)),
    ]
    if let image = found.image {
      facts.append(Fact("libvirt", .string("version \(image.version), \(image.format.name)")))
      facts.append(Fact("running", .bool(image.wasRunning)))
    }
    return Topic(.file, "", facts)
  }

  private var configuration: Topic {
    let configuration = found.configuration
    var facts = [
      Fact("machine", .string(side.machine)),
      Fact("uuid", configuration?.uuid.map { .hex(bytes: $0) } ?? .null),
    ]
    facts.append(
      Fact("capabilities", .text(configuration?.capabilities?.map(\.description) ?? [])))
    if let bits = configuration?.targetPageBits {
      facts.append(Fact("targetPageBits", count: bits))
    }
    return Topic(.configuration, "", facts)
  }

  private var blocks: TopicList {
    let (blocks, missing) = (found.blocks, found.missingPages)
    let (isPlain, leftOut) = (found.kind == .qemu, side.leftOutBlocks)
    return TopicList(blocks.map(\.name)) { index in
      let block = blocks[index]
      var facts = [Fact("size", count: block.length)]
      if isPlain {
        facts.append(
          Fact("missingPages", count: missing.indices.contains(index) ? missing[index] : 0))
        facts.append(Fact("leftOut", .bool(leftOut.contains(index))))
      }
      return Topic(.block, block.name, facts)
    }
  }

  private var seal: [Topic] {
    guard let seal = found.seal else { return [] }
    return [
      Topic(
        .seal, "",
        [
          Fact("signed", .bool(seal.signer != nil)),
          Fact("signer", seal.signer.map { .hex(bytes: $0) } ?? .null, .session),
          Fact("coveredLength", count: seal.coveredLength, .derived),
          Fact("root", .hex(bytes: seal.root), .derived),
          Fact("trailerLength", count: seal.trailerLength, .derived),
          Fact("trailerHash", .hex(bytes: seal.trailerHash), .derived),
        ])
    ]
  }

  // MARK: A plain stream

  /// The registers of the vCPUs, where all of them can be read.
  private func collectVCPUs() throws(MigrationError) {
    let devices = side.devices
    let keys = devices.keys.filter { $0.name == "cpu" }
    let read = {
      (index: Int, budget: inout ElementBudget) throws(MigrationError) -> VCPUState? in
      guard let values = try devices.values(keys[index], &budget) else { return nil }
      return try? VCPUState(apicID: UInt32(index), qemu: values)
    }
    var budget = devices.budget
    for index in keys.indices where try read(index, &budget) == nil { return }
    guard !keys.isEmpty else { return }
    side.topics[.vcpu] = TopicList(keys.indices.map { "\($0)" }) { (index) throws(MigrationError) in
      var budget = devices.budget
      return try read(index, &budget)?.topic ?? Topic(.vcpu, "\(index)", [])
    }
  }

  // MARK: An SNP stream

  private func collectSNP() throws(MigrationError) {
    side.topics[.session] = TopicList(try session)
    side.sessionKey = found.transferData.map { $0.encapsulatedKey + $0.wrappedKey }
    let tokens = found.epochs.elements
    side.topics[.epoch] = TopicList(tokens.map { "\($0.epoch)" }) { tokens[$0].topic }
    side.topics[.final] = try finals()
    side.topics[.commit] = TopicList(found.commit.map { [commit($0)] } ?? [])
    let blocks = found.blocks.enumerated()
    let mapped = Set(found.map.ranges.map(\.block))
    side.sealedBlocks = Set(
      blocks.filter { $1.name.hasPrefix("tpm-") && !mapped.contains($0) }.map(\.offset))
    guard let state = found.state else { return }
    side.topics[.vcpu] = TopicList(vcpus: state.guest.vcpus)
    side.topics[.service] = try state.guest.services.topics()
    side.states = state.guest.pageStates
    let secrets = try state.secretsPage.map { (secrets) throws(MigrationError) in
      try Topic(secretsPage: secrets.page, at: secrets.gpa)
    }
    side.topics[.secretsPage] = TopicList(secrets.map { [$0] } ?? [])
  }

  private var session: [Topic] {
    get throws(MigrationError) {
      guard let data = found.transferData else { return [] }
      let isMutual = data.flags.contains(.mutual)
      var facts = [
        Fact("version", count: data.suite.version),
        Fact("kem", .hex(data.suite.kem)), Fact("kdf", .hex(data.suite.kdf)),
        Fact("aead", .hex(data.suite.aead)),
        Fact("mutual", .bool(isMutual)), Fact("seeded", .bool(data.flags.contains(.seeded))),
        Fact("offerDigest", .hex(bytes: data.offerDigest)),
        Fact("transportKey", .hex(bytes: try SHA256.hash(data.wrappedKey)), .session),
        Fact("encapsulatedKey", .hex(bytes: try SHA256.hash(data.encapsulatedKey)), .session),
        Fact("sourceKey", .hex(bytes: try SHA256.hash(data.sourceKey)), .session),
        Fact("report", .hex(bytes: try SHA256.hash(data.report)), .session),
        Fact("certificates", .hex(bytes: try SHA256.hash(data.certificates))),
      ]
      if isMutual, let report = try? AttestationReport(unchecked: data.report) {
        facts += [
          Fact("source.chipID", .hex(bytes: report.chipID)),
          Fact("source.vmpl", count: report.vmpl),
          Fact("source.policy", .hex(report.policy.rawValue)),
          Fact("source.reportedTCB", .string(report.reportedTCB.hex)),
          Fact("source.measurement", .hex(bytes: report.measurement)),
        ]
      }
      return [Topic(.session, "", facts)]
    }
  }

  /// The final records in the clear: what they are, how long, and a hash of what they encrypt.
  private func finals() throws(MigrationError) -> TopicList {
    var hashes: [UInt64: [UInt8]] = [:]
    for entry in found.bodies.entries where entry.header.name.bytes.starts(with: "snp-".utf8) {
      hashes[entry.offset] = try SHA256.hash(entry.body)
    }
    let finals = found.finals.elements.map { (record: $0.record, hash: hashes[$0.offset]) }
    let names = finals.map { "\($0.record.kind.row.name) \($0.record.index)" }
    return TopicList(names) { index in
      let (record, hash) = finals[index]
      var facts = [
        Fact("length", count: record.length),
        Fact("sequence", count: record.sequence, .derived),
      ]
      if let hash { facts.append(Fact("ciphertext", .hex(bytes: hash))) }
      return Topic(.final, names[index], facts)
    }
  }

  private func commit(_ commit: CommitRecord) -> Topic {
    Topic(
      .commit, "",
      [
        Fact("epochs", count: commit.epochs, .derived),
        Fact("pageRecords", count: commit.pageRecords, .derived),
        Fact("privatePages", count: commit.privatePages, .derived),
        Fact("finalRecords", count: commit.final.total, .derived),
        Fact("transcript", .hex(bytes: commit.transcript), .derived),
      ])
  }
}

extension EpochToken {
  fileprivate var topic: Topic {
    Topic(
      .epoch, "\(epoch)",
      [
        Fact("last", .bool(isLast)), Fact("pages", count: counts.total ?? 0),
        Fact("migrated", count: counts.migrated),
        Fact("migratedAgain", count: counts.migratedAgain),
        Fact("cancelled", count: counts.cancelled),
        Fact("firstSequence", count: firstSequence, .derived),
        Fact("transcript", .hex(bytes: transcript), .derived),
      ])
  }
}
