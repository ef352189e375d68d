package import Errors
internal import JSON
internal import SEVSNP
internal import Wire

/// The manifest of a bundle (`Formats/guest-bundle.md`, section 2): those parts of the description
/// that have no file of their own.
struct Manifest {
  struct VCPU {
    var apicID: UInt32
    var vmpl: UInt8
  }

  struct Service {
    var kind: ServiceState.Kind
    var isMandatory: Bool
    var version: UInt32
    var generation: UInt64
    var size: Int
  }

  var machine: String
  var ramBlocks: [RAMBlock]
  var map: GuestMap
  var attributes: GPARangeSet
  var pageStateRuns: Int
  var vcpus: [VCPU]
  var services: [Service]
  /// Bytes of the machine state; nil when there is none.
  var machineStateSize: Int?
  /// The moment of a stream whose memory an incomplete guest is; nil for a whole one.
  var moment: GuestMoment?

  private static let kind = DocumentValue.Kind(
    .guestManifest, in: .file(GuestBundle.manifest), name: "manifest")

  /// The manifest of a guest.
  /// - Throws: `GUEST-SHAPE` when it is longer than a reader accepts.
  init(checking guest: GuestDescription) throws(MigrationError) {
    machine = guest.machine
    ramBlocks = guest.ramBlocks
    map = guest.map
    attributes = guest.attributes
    pageStateRuns = guest.pageStates.runs.count
    vcpus = guest.vcpus.map { VCPU(apicID: $0.apicID, vmpl: $0.vmpl) }
    services = guest.services.map {
      Service(
        kind: $0.kind, isMandatory: $0.isMandatory, version: $0.version,
        generation: $0.generation, size: $0.blob.count)
    }
    machineStateSize = guest.machineState?.count
    moment = guest.moment
    guard valueCount <= JSON.valueLimit else { throw GuestDescription.alternates }
    var left = GuestBundle.maximumManifestSize
    try write { (text) throws(MigrationError) in
      left -= text.utf8.count
      guard left >= 0 else { throw GuestDescription.alternates }
    }
  }

  /// - Throws: `GUEST-MANIFEST`; `MAP-LAYOUT` for a map that maps a page twice or out of order.
  init(parsing bytes: [UInt8]) throws(MigrationError) {
    let root = try DocumentValue(document: bytes, of: Self.kind)
    let schema = try root.member("schema")
    switch try schema.string() {
    case GuestBundle.schema: break
    case GuestBundle.incompleteSchema: moment = try Self.moment(root.member("incomplete"))
    default: throw schema.wrong("\"\(GuestBundle.schema)\"")
    }
    machine = try root.member("machine").string()

    ramBlocks = []
    for block in try root.member("ram").elements(limit: RAMBlock.maximumCount) {
      let name = try block.member("name").string()
      let size = try block.member("size").hexadecimal()
      ramBlocks.append(
        try block.checked { () throws(MigrationError) in try RAMBlock(name: name, size: size) })
    }

    var ranges: [MappedRange] = []
    for range in try root.member("map").elements(limit: GuestMap.maximumCount) {
      ranges.append(
        MappedRange(
          block: try range.member("block").number(RAMBlock.maximumCount - 1),
          offset: try range.member("offset").hexadecimal(),
          gpa: try range.member("gpa").hexadecimal(),
          size: try range.member("size").hexadecimal()))
    }
    do {
      map = try GuestMap(ranges, blocks: ramBlocks)
    } catch {
      throw error.within(.file(GuestBundle.manifest))
    }

    attributes = try Self.attributes(root.member("private"))
    pageStateRuns = try root.member("page_state_runs").number(PageStateMap.maximumCount)

    vcpus = []
    for vcpu in try root.member("vcpus").elements(limit: GuestDescription.maximumVCPUs) {
      vcpus.append(
        VCPU(apicID: try vcpu.member("apic_id").number(), vmpl: try vcpu.member("vmpl").number(3)))
    }

    services = []
    var sizes = 0
    for service in try root.member("services").elements(limit: ServiceState.maximumCount) {
      let size = try service.member("size")
      sizes += try size.number(ServiceState.maximumSize)
      guard sizes <= ServiceState.maximumSize else {
        throw size.wrong("at most \(ServiceState.maximumSize) bytes of all services together")
      }
      services.append(
        Service(
          kind: .init(rawValue: try service.member("kind").number()),
          isMandatory: try service.member("mandatory").bool(),
          version: try service.member("version").number(),
          generation: try service.member("generation").hexadecimal(),
          size: try size.number()))
    }
    machineStateSize = try root.optional("machine_state_size")?.number(
      GuestDescription.maximumMachineStateSize)
  }

  private static func moment(_ value: DocumentValue) throws(MigrationError) -> GuestMoment {
    GuestMoment(
      epoch: try value.member("epoch").number(atLeast: 1),
      pageRecords: try value.optional("page_records")?.number(atLeast: 1))
  }

  private static func attributes(_ list: DocumentValue) throws(MigrationError) -> GPARangeSet {
    var attributes = GPARangeSet()
    for element in try list.elements(limit: .max) {
      let text = try element.string()
      let range = try element.checked { () throws(MigrationError) in try GPARange(parsing: text) }
      guard range.description == text, attributes.ranges.last.map({ $0.end < range.start }) ?? true
      else { throw element.wrong("0xFIRST-0xLAST, ascending, apart from the range before it") }
      attributes.append(range)
    }
    return attributes
  }

  /// Number of JSON values in the text: a reader accepts `JSON.valueLimit`.
  private var valueCount: Int {
    let lists = 3 * ramBlocks.count + 5 * map.ranges.count + attributes.ranges.count
    let when = moment.map { $0.pageRecords == nil ? 2 : 3 } ?? 0
    // The object, its two names, its five lists and the number of runs.
    return 9 + lists + 3 * vcpus.count + 6 * services.count + (machineStateSize == nil ? 0 : 1)
      + when
  }

  /// Writes the manifest as JSON text, with a line feed at the end. Its list of private ranges may be as
  /// long as a reader accepts, so it is written range by range.
  /// - Throws: what writing throws.
  func write(_ write: @escaping JSONStream.Write) throws(MigrationError) {
    var output = JSONStream(write)
    let schema = moment == nil ? GuestBundle.schema : GuestBundle.incompleteSchema
    try output.append(.init("schema", .string(schema)))
    try output.append(.init("machine", .string(machine)))
    try output.append("ram", of: ramBlocks) {
      ["name": .string($0.name), "size": .string(Hex.number($0.size))]
    }
    try output.append("map", of: map.ranges) {
      [
        "block": JSON($0.block), "offset": .string(Hex.number($0.offset)),
        "gpa": .string(Hex.number($0.gpa)), "size": .string(Hex.number($0.size)),
      ]
    }
    try output.append("private", of: attributes.ranges) { .string($0.description) }
    try output.append(.init("page_state_runs", JSON(pageStateRuns)))
    try output.append("vcpus", of: vcpus) {
      ["apic_id": JSON($0.apicID), "vmpl": JSON($0.vmpl)]
    }
    try output.append("services", of: services) {
      [
        "kind": JSON($0.kind.rawValue), "mandatory": .bool($0.isMandatory),
        "version": JSON($0.version), "generation": .string(Hex.number($0.generation)),
        "size": JSON($0.size),
      ]
    }
    if let machineStateSize {
      try output.append(.init("machine_state_size", JSON(machineStateSize)))
    }
    if let moment {
      var when: [JSON.Member] = [.init("epoch", JSON(moment.epoch))]
      if let records = moment.pageRecords { when.append(.init("page_records", JSON(records))) }
      try output.append(.init("incomplete", .object(when)))
    }
    try output.end()
  }
}

extension GuestDescription {
  /// The refusal of a guest whose manifest would be longer than a reader accepts.
  package static let alternates = MigrationError(
    .guestShape, "private and shared memory of the guest alternate too often for a bundle",
    expected: """
      a manifest of at most \(GuestBundle.maximumManifestSize) bytes and \(JSON.valueLimit) values
      """)

  /// Checks that a destination can write the guest as a bundle, in whatever form it was read here.
  /// A manifest that another program wrote in fewer bytes can become too long when the destination
  /// writes it.
  /// - Throws: `GUEST-SHAPE`.
  package func requireManifest() throws(MigrationError) {
    var later = self
    // The generation rises with each migration, and with it the number of its digits.
    for index in later.services.indices { later.services[index].generation = .max }
    _ = try Manifest(checking: later)
  }
}
