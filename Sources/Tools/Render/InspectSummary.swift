internal import Errors
internal import Import
internal import Inspection
internal import QEMUStream
internal import Wire

/// The beginning of an overview: what the stream is and what is in it. The end: what to ask next.
extension InspectionText {
  /// Most names of devices in an overview.
  private static let deviceLimit = 64

  mutating func summary() {
    out.field("Stream", subject)
    if let first = found.leftOut.first {
      out.field(
        "Left out",
        "\(Spelled.list(found.leftOut.map(\.description), atMost: 8)): x-ignore-shared leaves blocks "
          + "to other files, --memory \(first)=FILE gives one")
    }
    container()
    if let configuration = found.configuration {
      let machine = configuration.machineText
      out.field("Machine", machine.isEmpty ? "not named" : machine)
      if let uuid = configuration.uuid { out.field("UUID", Hex.encode(uuid)) }
    }
    if let state = found.runState { out.field("State", state) }
    if let count = found.vcpuCount { out.field("CPUs", "\(count)") }
    if !found.blocks.isEmpty { out.field("Memory", memorySize) }
    let devices = found.devices.map { $0.count == 1 ? $0.name : "\($0.name) x\($0.count)" }
    if !devices.isEmpty {
      out.wrappedField("Devices", Spelled.list(devices, atMost: Self.deviceLimit))
    }
    if let names = found.configuration?.capabilities {
      out.wrappedField("Capabilities", Spelled.list(names.map(\.description)))
    }
  }

  private var subject: String {
    if found.refusal?.code == .streamMagic { return "not a migration stream" }
    let kind = found.kind == .snp ? "SNP migration stream" : "QEMU migration stream"
    let isRefused = found.refusal.map { !$0.code.saysIncomplete } ?? false
    let state = isRefused ? "refused" : found.isWhole ? "whole" : "not whole"
    return "\(kind), \(state), \(Spelled.bytes(found.size)) read"
  }

  /// What is around the stream.
  private mutating func container() {
    if let image = found.image {
      out.field(
        "Image",
        "libvirt, version \(image.version), \(image.format.name)"
          + (image.isWhole ? "" : ", not finished")
          + (image.wasRunning ? "; the guest ran before it was saved" : "; the guest was paused"))
      if let name = image.domainName { out.field("Domain", name) }
    }
    if found.streamStart > 0 { out.field("Begins", "at byte \(Hex.number(found.streamStart))") }
    if let packing = found.packing { out.field("Packed", "with \(packing.rawValue)") }
    if let snapshot = found.snapshot {
      out.field("Snapshot", "\(snapshot.id) (\(snapshot.name)) of a qcow2 image")
    }
    if found.padding > 0 {
      out.field("Padding", Spelled.count(found.padding, "zero byte") + " after it")
    }
    if let rest = found.rest, rest > 0 {
      out.field("Rest", Spelled.count(rest, "byte") + " after --length, not read")
    }
  }

  private var memorySize: String {
    let blocks =
      "\(Spelled.size(found.blockBytes)) in \(Spelled.count(found.blocks.count, "RAM block"))"
    return found.hasMap
      ? "\(Spelled.size(found.mappedBytes)) of the guest; \(blocks)" : blocks
  }

  /// The options that show more of this stream.
  mutating func next() {
    guard !found.sections.lines.elements.isEmpty else { return }
    title("More of it")
    if let count = found.vcpuCount, found.kind == .qemu || found.state != nil {
      out.field("--cpus", "registers of \(Spelled.count(count, "CPU"))", width: 22, indent: 2)
    } else if found.kind == .snp {
      out.field("--instance FILE", "vCPUs, services and page states", width: 22, indent: 2)
    }
    if let description = found.description {
      out.field(
        "--devices",
        "fields of \(Spelled.count(description.devices.count, "section")); --device NAME of one",
        width: 22, indent: 2)
    }
    let count = found.sections.lines.elements.reduce(found.sections.lines.omitted) {
      $0 + $1.count
    }
    out.field(
      "--sections", "\(Spelled.count(count, "section")); --section NAME shows its bytes", width: 22,
      indent: 2)
    if !found.blocks.isEmpty {
      out.field(
        "--pages", found.hasMap ? "runs of pages; --page GPA shows one" : "runs of pages",
        width: 22, indent: 2)
    }
    let domain = found.image?.domain == nil ? "" : "domain, "
    let description = found.description == nil ? "" : "description, "
    out.field(
      "--extract WHAT", "\(domain)\(description)section:NAME, block:NAME as bytes", width: 22,
      indent: 2)
  }
}
