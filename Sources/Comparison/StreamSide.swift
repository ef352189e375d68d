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

  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  func collect() throws(MigrationError) -> Side {
    side.machine = found.configuration?.machineText ?? ""
    side.size = found.size
    side.blocks = found.blocks.map { ($0.name, $0.length) }
    side.map = found.hasMap ? found.map : nil
    side.devices = MachineDevices(found.bodies, by: found.description)
    side.topics[.file] = [file]
    side.topics[.configuration] = [configuration]
    side.topics[.block] = blocks
    if let map = side.map { side.topics[.map] = map.topics(side.blocks.map(\.name)) }
    side.topics[.section] = sections
    side.machineSections =
      found.kind == .snp ? found.machine?.topics ?? [] : sections.filter { $0.name != "ram" }
    side.topics[.seal] = seal
    if found.kind == .snp { try collectSNP() } else { collectVCPUs() }
    return side
  }

  // MARK: Any stream

  private var file: Topic {
    var facts = [
      Fact("size", count: found.size, .derived),
      Fact("packing", found.packing.map { .string($0.rawValue) } ?? .null),
      Fact("padding", count: found.padding),
      Fact("footers", found.hasFooters.map { .bool($0) } ?? .null),
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

  private var blocks: [Topic] {
    let leftOut = Set(found.leftOut.map(\.description))
    return found.blocks.enumerated().map { index, block in
      var facts = [Fact("size", count: block.length)]
      if found.kind == .qemu {
        let missing = found.missingPages.indices.contains(index) ? found.missingPages[index] : 0
        facts.append(Fact("missingPages", count: missing))
        facts.append(Fact("leftOut", .bool(leftOut.contains(block.name))))
      }
      return Topic(.block, block.name, facts)
    }
  }

  /// Each section once, those in parts with all of their parts.
  private var sections: [Topic] {
    var topics: [Topic] = []
    var seen: Set<String> = []
    for line in found.sections.lines.elements {
      let header = line.header
      let name = MachineDevices.Key(header).shown
      guard seen.insert(name).inserted else { continue }
      var topic = header.topic
      if header.kind == .full { topic.facts.append(Fact("size", count: line.size, .derived)) }
      topics.append(topic)
    }
    // The machine's sections that an SNP stream does not have as sections.
    for topic in found.machine?.topics ?? []
    where topic.name != "ram" && seen.insert(topic.name).inserted { topics.append(topic) }
    return topics
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
  private func collectVCPUs() {
    var decoding = side.devices.decoding
    var vcpus: [VCPUState] = []
    for key in side.devices.keys where key.name == "cpu" {
      guard case .success(let state) = side.devices.state(key, &decoding),
        let vcpu = try? VCPUState(apicID: UInt32(vcpus.count), qemu: state.fields)
      else { return }
      vcpus.append(vcpu)
    }
    guard !vcpus.isEmpty else { return }
    side.topics[.vcpu] = vcpus.map(\.topic)
  }

  // MARK: An SNP stream

  private func collectSNP() throws(MigrationError) {
    side.topics[.session] = try session
    side.sessionKey = found.transferData.map { $0.encapsulatedKey + $0.wrappedKey }
    side.topics[.epoch] = found.epochs.elements.map(epoch)
    side.topics[.final] = try finals()
    side.topics[.commit] = found.commit.map { [commit($0)] } ?? []
    let blocks = found.blocks.enumerated()
    let mapped = Set(found.map.ranges.map(\.block))
    side.sealedBlocks = Set(
      blocks.filter { $1.name.hasPrefix("tpm-") && !mapped.contains($0) }.map(\.offset))
    guard let state = found.state else { return }
    side.topics[.vcpu] = state.guest.vcpus.map(\.topic)
    side.topics[.service] = try state.guest.services.topics()
    side.states = state.guest.pageStates
    side.topics[.secretsPage] =
      try state.secretsPage.map {
        (secrets) throws(MigrationError) in
        [try Topic(secretsPage: secrets.page, at: secrets.gpa)]
      } ?? []
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

  private func epoch(_ token: EpochToken) -> Topic {
    Topic(
      .epoch, "\(token.epoch)",
      [
        Fact("last", .bool(token.isLast)), Fact("pages", count: token.counts.total ?? 0),
        Fact("migrated", count: token.counts.migrated),
        Fact("migratedAgain", count: token.counts.migratedAgain),
        Fact("cancelled", count: token.counts.cancelled),
        Fact("firstSequence", count: token.firstSequence, .derived),
        Fact("transcript", .hex(bytes: token.transcript), .derived),
      ])
  }

  /// The final records in the clear: what they are, how long, and a hash of what they encrypt.
  private func finals() throws(MigrationError) -> [Topic] {
    var bodies: [UInt64: [UInt8]] = [:]
    for entry in found.bodies.entries { bodies[entry.offset] = entry.body }
    var topics: [Topic] = []
    for (record, offset) in found.finals.elements {
      var facts = [
        Fact("length", count: record.length),
        Fact("sequence", count: record.sequence, .derived),
      ]
      if let body = bodies[offset] {
        facts.append(Fact("ciphertext", .hex(bytes: try SHA256.hash(body)), nil))
      }
      topics.append(Topic(.final, "\(record.kind.row.name) \(record.index)", facts))
    }
    return topics
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
