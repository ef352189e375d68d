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

/// An inspection as JSON, schema `svsm-migration/inspect/2`.
///
/// Guest-physical addresses, offsets in RAM blocks and bit fields are hex text; counts, sizes and
/// stream offsets are integers. The order of the keys is fixed, and the same
/// stream gives the same bytes.
struct InspectionJSON {
  static let schema = "svsm-migration/inspect/2"

  private let found: InspectedStream
  private let parts: InspectionParts

  /// - Parameters:
  ///   - refusal: converts a refusal to JSON.
  ///   - write: receives the text, piece by piece.
  static func render(
    _ found: InspectedStream, _ parts: InspectionParts, refusal: (MigrationError) -> JSON,
    write: @escaping JSONStream.Write
  ) throws(MigrationError) {
    let renderer = InspectionJSON(found: found, parts: parts)
    var output = JSONStream(write)
    for member in try renderer.overview() { try output.append(member) }
    if found.kind == .snp {
      try output.append("epochs", of: found.epochs.elements, renderer.epoch)
    }
    try renderer.writePages(to: &output)
    for member in renderer.rest { try output.append(member) }
    if parts.sections || parts.section != nil {
      let lines = found.sections.lines.elements.filter { parts.lists($0.header) }
      try output.append("sections", of: lines, renderer.section)
    }
    try found.writeRounds(to: &output)
    if let page = found.page { try output.append(.init("page", renderer.page(page))) }
    if let state = found.state { try renderer.write(state, to: &output) }
    if parts.cpus, found.kind == .qemu {
      var sections = DecodedDevice.Decoding(found)
      try output.append("cpus") { () throws(MigrationError) -> JSON? in
        while let section = sections.next() {
          if section.name == "cpu" { return DecodedState.json(ofCPU: section) }
        }
        return nil
      }
    }
    if parts.devices {
      var devices = DecodedDevice.Decoding(found)
      try output.append("devices") { () throws(MigrationError) in try devices.next()?.json() }
      try output.append(.init("devicesOmitted", JSON(found.bodies.omitted)))
    }
    if let error = found.refusal { try output.append(.init("refusal", refusal(error))) }
    try output.end()
  }

  // MARK: Overview

  private func overview() throws(MigrationError) -> [JSON.Member] {
    var members: [JSON.Member] = [
      .init("schema", .string(Self.schema)), .init("kind", .string(found.kind.rawValue)),
      .init("machine", .string(found.configuration?.machineText ?? "")),
      .init("size", JSON(found.size)),
      .init("complete", .bool(found.isWhole)),
    ]
    if let error = found.shortfall {
      members.append(.init("shortfall", .object(error.jsonMembers)))
    }
    if found.kind == .qemu {
      let configuration = found.configuration
      members.append(
        .init("capabilities", .text(configuration?.capabilities?.map(\.description) ?? [])))
      members.append(.init("uuid", configuration?.uuid.map { .hex(bytes: $0) } ?? .null))
      members += container
    }
    if let data = found.transferData { members.append(.init("session", try session(data))) }
    members.append(.init("ramBlocks", ramBlocks))
    if !found.leftOut.isEmpty {
      members.append(.init("leftOut", .text(found.leftOut.map(\.description))))
    }
    if !found.channels.isEmpty { members.append(.init("channels", channels)) }
    if found.hasMap || found.kind == .snp { members.append(guestMap) }
    return members
  }

  /// Runs of pages, one by one: there may be more than should be in memory as JSON.
  private func writePages(to output: inout JSONStream) throws(MigrationError) {
    if found.kind == .snp { try writePrivatePages(to: &output) }
    let shared = found.sharedPages
    try output.append("sharedPages") { (output: inout JSONStream) throws(MigrationError) in
      try output.append(.init("content", JSON(shared.content)))
      try output.append(.init("zero", JSON(shared.zero)))
      try output.append("runs", of: shared.runs.elements) { run in
        var members: [JSON.Member] = [
          .init("block", .string(blockName(run.block))), .init("offset", .hex(run.offset)),
          .init("pages", JSON(run.pages)), .init("content", JSON(run.content)),
          .init("zero", JSON(run.zero)),
        ]
        if found.kind == .snp { members.append(.init("epoch", JSON(run.epoch))) }
        return .object(members + digest(run.hash))
      }
      try output.append(.init("runsOmitted", JSON(shared.runs.omitted)))
    }
  }

  private func writePrivatePages(to output: inout JSONStream) throws(MigrationError) {
    let pages = found.privatePages
    try output.append("privatePages") { (output: inout JSONStream) throws(MigrationError) in
      try output.append(.init("count", JSON(pages.pages)))
      try output.append(.init("records", JSON(pages.counts.total ?? 0)))
      try output.append(.init("migrated", JSON(pages.counts.migrated)))
      try output.append(.init("migratedAgain", JSON(pages.counts.migratedAgain)))
      try output.append(.init("cancelled", JSON(pages.counts.cancelled)))
      try output.append("runs", of: pages.runs.elements, run)
      try output.append(.init("runsOmitted", JSON(pages.runs.omitted)))
    }
  }

  /// What comes after the pages.
  private var rest: [JSON.Member] {
    var members: [JSON.Member] = []
    if let json = found.confidential?.json { members.append(.init("confidential", json)) }
    if found.kind == .qemu {
      members.append(.init("commands", .text(found.commands.map(\.code.name))))
    } else {
      members.append(.init("final", finals))
      members.append(.init("commit", found.commit.map(commit) ?? .null))
    }
    members.append(.init("seal", found.seal.map(seal) ?? .null))
    members.append(.init("vmdescription", description))
    return members
  }

  /// The containers around a plain QEMU stream, and the form of the stream.
  private var container: [JSON.Member] {
    var members: [JSON.Member] = [
      .init("streamOffset", JSON(found.streamStart)),
      .init("footers", found.hasFooters.map { .bool($0) } ?? .null),
    ]
    if found.sharedPages.page != .x86 {
      members.append(.init("pageSize", JSON(found.sharedPages.page.size)))
    }
    if let count = found.vcpuCount { members.append(.init("vcpuCount", JSON(count))) }
    if let state = found.runState { members.append(.init("runState", .string(state))) }
    if found.padding > 0 { members.append(.init("padding", JSON(found.padding))) }
    if let rest = found.rest { members.append(.init("rest", JSON(rest))) }
    if let packing = found.packing { members.append(.init("packing", .string(packing.rawValue))) }
    if let snapshot = found.snapshot {
      members.append(.init("snapshot", .object(SnapshotList.members(of: snapshot))))
    }
    if let image = found.image {
      members.append(
        .init(
          "libvirt",
          [
            "version": JSON(image.version), "whole": .bool(image.isWhole),
            "running": .bool(image.wasRunning), "format": .string(image.format.name),
            "descriptionSize": JSON(image.descriptionSize),
            "domain": image.domainName.map { .string($0) } ?? .null,
          ]))
    }
    members.append(
      .init("undescribed", .text(found.undescribed.map { "\($0.name) \($0.instance)" })))
    if let header = found.unread {
      members.append(
        .init(
          "unread",
          ["section": .string(header.name.description), "offset": JSON(header.offset)]))
    }
    return members
  }

  private var ramBlocks: JSON {
    .array(
      found.blocks.enumerated().map { index, block in
        var members: [JSON.Member] = [
          .init("name", .string(block.name)), .init("usedLength", JSON(block.length)),
        ]
        if found.memory.indices.contains(index) {
          let memory = found.memory[index]
          members.append(.init("sha256", memory.hash.map { .hex(bytes: $0) } ?? .null))
          members.append(.init("missingPages", JSON(memory.missingPages)))
          members.append(.init("unhashedZeros", JSON(memory.unhashedZeros)))
        }
        return .object(members)
      })
  }

  private var channels: JSON {
    .array(
      found.channels.map { channel in
        [
          "id": JSON(channel.id), "method": channel.method.map { .string($0.name) } ?? .null,
          "packets": JSON(channel.packets), "content": JSON(channel.normalPages),
          "zero": JSON(channel.zeroPages), "deviceStateSize": JSON(channel.deviceStateBytes),
          "deviceState": .array(channel.deviceState.map(deviceState)),
          "deviceStateOmitted": JSON(channel.deviceStateOmitted),
        ]
      })
  }

  private func deviceState(_ state: ChannelDeviceState) -> JSON {
    [
      "device": state.device.map { .string($0.description) } ?? .null,
      "instance": JSON(state.instance), "size": JSON(state.size),
      "index": state.vfio.map { JSON($0.index) } ?? .null,
      "kind": state.vfio.map { .string($0.kind.rawValue) } ?? .null,
    ]
  }

  private func session(_ data: TransferData) throws(MigrationError) -> JSON {
    let isMutual = data.flags.contains(.mutual)
    let report = isMutual ? try? AttestationReport(unchecked: data.report) : nil
    return [
      "version": JSON(data.suite.version), "suite": .string(data.suite.names),
      "kem": .hex(data.suite.kem), "kdf": .hex(data.suite.kdf), "aead": .hex(data.suite.aead),
      "mutual": .bool(isMutual), "seeded": .bool(data.flags.contains(.seeded)),
      "offerDigest": .hex(bytes: data.offerDigest),
      "sourceKeySHA256": .hex(bytes: try SHA256.hash(data.sourceKey)),
      "sourceReport": report.map(Self.summary) ?? .null,
    ]
  }

  private static func summary(_ report: AttestationReport) -> JSON {
    [
      "version": JSON(report.version),
      "product": report.product.map { .string($0.rawValue) } ?? .null,
      "chipID": .hex(bytes: report.chipID), "vmpl": JSON(report.vmpl),
      "policy": .hex(report.policy.rawValue), "policyBits": .text(report.policy.setBits),
      "reportedTCB": .string(report.reportedTCB.hex),
      "measurement": .hex(bytes: report.measurement),
    ]
  }

  private var guestMap: JSON.Member {
    .init(
      "guestMap",
      .array(
        found.map.ranges.map { range in
          [
            "gpa": .hex(range.gpa), "size": JSON(range.size),
            "block": .string(blockName(range.block)), "offset": .hex(range.offset),
          ]
        }))
  }

  private func epoch(_ token: EpochToken) -> JSON {
    [
      "epoch": JSON(token.epoch), "last": .bool(token.isLast),
      "records": JSON(token.counts.total ?? 0), "firstSequence": JSON(token.firstSequence),
      "migrated": JSON(token.counts.migrated), "migratedAgain": JSON(token.counts.migratedAgain),
      "cancelled": JSON(token.counts.cancelled), "transcript": .hex(bytes: token.transcript),
    ]
  }

  private func run(_ run: PrivateRun) -> JSON {
    .object(
      [
        .init("gpa", .hex(run.gpa)), .init("pages", JSON(run.pages)),
        .init("epoch", JSON(run.epoch)), .init("operation", .string(run.operation.text)),
        .init("rmpSize", .string(run.size.text)),
        .init(
          "permissions", .string(Hex.number(UInt64(run.permissions.rawValue), digits: 8))),
      ] + digest(run.hash))
  }

  private func digest(_ hash: [UInt8]?) -> [JSON.Member] {
    hash.map { [.init("sha256", .hex(bytes: $0))] } ?? []
  }

  private var finals: JSON {
    .array(
      found.finals.elements.map { entry in
        [
          "kind": .string(entry.record.kind.row.name), "index": JSON(entry.record.index),
          "sequence": JSON(entry.record.sequence), "length": JSON(entry.record.length),
          "offset": JSON(entry.offset),
        ]
      })
  }

  private func commit(_ commit: CommitRecord) -> JSON {
    [
      "epochs": JSON(commit.epochs), "pageRecords": JSON(commit.pageRecords),
      "privatePages": JSON(commit.privatePages), "finalRecords": JSON(commit.final.total),
      "vcpus": JSON(commit.final[.vcpu]), "services": JSON(commit.final[.service]),
      "secretsPages": JSON(commit.final[.secrets]), "mapParts": JSON(commit.final[.pageStates]),
      "transcript": .hex(bytes: commit.transcript),
    ]
  }

  private func seal(_ seal: Seal) -> JSON {
    [
      "coveredLength": JSON(seal.coveredLength), "chunks": JSON(seal.chunkCount),
      "root": .hex(bytes: seal.root), "trailerLength": JSON(seal.trailerLength),
      "signer": seal.signer.map { .hex(bytes: $0) } ?? .null, "bytesChecked": false,
    ]
  }

  private var description: JSON {
    guard let size = found.descriptionSize else { return .null }
    return [
      "size": JSON(size),
      "devices": .text(found.description?.devices.map { "\($0.name) \($0.instance)" } ?? []),
    ]
  }

  // MARK: On request

  private func section(_ line: SectionLine) -> JSON {
    let header = line.header
    var members: [JSON.Member] = [
      .init("offset", JSON(header.offset)), .init("type", .string(header.kind.text)),
      .init("id", JSON(header.id)), .init("name", .string(header.name.description)),
      .init("instance", JSON(header.instance)),
      .init("version", JSON(header.version & ~SNPSection.optionalBit)),
      .init("optional", .bool(header.version & SNPSection.optionalBit != 0)),
      .init("bodyOffset", JSON(line.bodyOffset)), .init("size", JSON(line.size)),
      .init("count", JSON(line.count)), .init("cut", .bool(line.isCut)),
    ]
    if parts.section != nil {
      let body = found.bodies.entries.first { $0.offset == line.bodyOffset }?.body
      members.append(.init("body", body.map { .hex(bytes: $0) } ?? .null))
    }
    return .object(members)
  }

  private func page(_ page: PageFacts) -> JSON {
    [
      "gpa": .hex(page.gpa),
      "place": page.place.map {
        ["block": .string(blockName($0.block)), "offset": .hex($0.offset)]
      } ?? .null,
      "privateRecords": .array(
        page.privateRecords.map { record in
          [
            "sequence": JSON(record.metadata.sequence), "epoch": JSON(record.metadata.epoch),
            "operation": .string(record.metadata.operation.text),
            "rmpSize": .string(record.metadata.size.text),
            "permissions": .string(
              Hex.number(UInt64(record.metadata.permissions.rawValue), digits: 8)),
            "offset": JSON(record.offset), "tag": .hex(bytes: record.tag),
            "ciphertextSHA256": .hex(bytes: record.ciphertextHash),
          ]
        }),
      "sharedRecords": .array(
        page.sharedRecords.map { record in
          [
            "offset": JSON(record.offset), "form": .string(record.form.rawValue),
            "zero": .bool(record.form == .zero),
            "content": record.content.map { .hex(bytes: $0) } ?? .null,
          ]
        }),
      "plaintext": page.plaintext.map { .hex(bytes: $0) } ?? .null,
      "restored": page.restored.map { .hex(bytes: $0) } ?? .null,
    ]
  }

  private func blockName(_ index: Int) -> String {
    found.blocks.indices.contains(index) ? found.blocks[index].name : "block \(index)"
  }
}
