internal import Bytes
internal import FileIO
internal import Guest
internal import QEMUStream
internal import SEVSNP
internal import SVSM

/// Makes a bundle of a plain QEMU stream.
///
/// Pages go to the bundle as they come, the last record of a page wins. The vCPUs are read at the
/// end, when the VM description is known that names their fields.
final class QEMUImport {
  private static let pageSize: UInt64 = 4096
  /// Names QEMU gives the main RAM block of its x86 machines.
  private static let mainBlocks = ["pc.ram", "microvm.ram", "ram"]
  /// Bytes of `cpu` sections that are kept: more than 4096 vCPUs need.
  private static let maximumCPUBytes = 64 << 20

  private let file: InputFile
  private let additions: ImportAdditions
  private var blocks: [Guest.RAMBlock] = []
  private var memory: GuestBundleMemory?
  /// Of each block: which pages had a record, and which were written.
  private var trackers: [PageTracker] = []
  private var pagesSeen: [UInt64] = []
  private var cpuSections: [(header: SectionHeader, at: UInt64, body: [UInt8])] = []
  private var cpuBytes = 0
  private var description: VMDescription?
  /// Made for the first compressed page: streams of today's QEMU have none.
  private var inflater: PageInflater?
  private let unpacked = PageBuffer(count: RAMSection.pageSize)

  init(_ file: InputFile, _ additions: ImportAdditions) {
    self.file = file
    self.additions = additions
  }

  /// - Parameter progress: told the bytes of the stream that are read.
  /// - Throws: what is wrong with the stream; `STREAM-KIND` for an SNP stream; `RAM-FLAGS` for kinds of pages that are not read;
  ///   `RAM-DATA` when a page is missing; `STREAM-CONFIGURATION` when nothing names the machine;
  ///   what writing a bundle throws.
  func run(
    into writer: GuestWriter, progress: (UInt64) -> Void
  ) throws(MigrationError) -> GuestDescription {
    description = try Self.describedAtEnd(of: file)
    let input = StreamInput(FileSource(file))
    var reader = QEMUStreamReader(input, description: description)
    events: while true {
      switch try reader.next() {
      case .section(let header):
        progress(input.offset)
        if header.name == "snp-session" {
          throw MigrationError(
            .streamKind, "an SNP stream is for svsm-mig-load", section: "\(header.name)",
            at: header.offset, expected: "a plain QEMU stream")
        }
        if header.name == "cpu" { try keep(header, &reader) }
      case .ram(.blockList):
        try begin(reader.ram.blocks, writer)
      case .ram(let record):
        try receive(record, input)
      case .description(let size):
        if description == nil {
          description = try VMDescription(
            parsing: Array(copying: input.bytes.extracting(first: size)), at: input.offset)
        }
      case .configuration, .command, .endOfSections: break
      case .end: break events
      }
    }
    guard let memory else {
      throw MigrationError(.ramList, "stream has no RAM", at: input.offset, expected: "section ram")
    }
    try checkWhole(at: input.offset)
    let guest = try describe(machine: reader.configuration?.machineText ?? "", at: input.offset)
    try memory.finish(guest)
    return guest
  }

  /// The description at the end of a file, when it can be looked at before the rest.
  private static func describedAtEnd(of file: InputFile) throws(MigrationError) -> VMDescription? {
    guard let size = file.size else { return nil }
    let count = Int(min(size, UInt64(VMDescription.sizeLimit + 5)))
    var tail = [UInt8](repeating: 0, count: count)
    var span = tail.mutableSpan
    try file.read(at: size - UInt64(count), into: &span)
    guard let range = VMDescription.locate(inTail: tail.span) else { return nil }
    return try VMDescription(
      parsing: Array(tail[range]), at: size - UInt64(count - range.lowerBound))
  }

  // MARK: Memory

  private func begin(
    _ listed: [QEMUStream.RAMBlock], _ writer: GuestWriter
  ) throws(MigrationError) {
    for block in listed {
      guard let name = String(validating: block.name.bytes, as: UTF8.self) else {
        throw MigrationError(
          .ramBlock, "name of a RAM block is not UTF-8", section: "ram", got: "\(block.name)")
      }
      blocks.append(try Guest.RAMBlock(name: name, size: block.length))
    }
    trackers = [PageTracker](repeating: PageTracker(), count: blocks.count)
    pagesSeen = [UInt64](repeating: 0, count: blocks.count)
    memory = try writer.begin(blockSizes: blocks.map(\.size))
  }

  private func receive(_ record: RAMRecord, _ input: StreamInput) throws(MigrationError) {
    switch record {
    case .page(let page):
      try write(page, input.bytes.extracting(first: RAMSection.pageSize))
    case .zero(let page):
      // New memory is zero: only what was written before must be wiped.
      let wasWritten = note(page, isWritten: false)
      if wasWritten {
        try memory?.write(block: page.block, at: page.offset, Self.zeroPage.span)
      }
    case .xbzrle:
      throw unread("XBZRLE deltas", at: input.offset)
    case .compressed(let page, let length):
      let unpacked = self.unpacked
      if inflater == nil { inflater = try PageInflater() }
      var content = unpacked.mutableSpan
      try inflater?.inflate(
        input.bytes.extracting(first: length), into: &content, at: input.offset)
      try write(page, unpacked.span)
    case .multifdFlush:
      throw unread("pages on channels of their own (multifd)", at: input.offset)
    case .blockList, .end: break
    }
  }

  private static let zeroPage = [UInt8](repeating: 0, count: RAMSection.pageSize)

  private func write(_ page: RAMPage, _ bytes: Span<UInt8>) throws(MigrationError) {
    _ = note(page, isWritten: true)
    try memory?.write(block: page.block, at: page.offset, bytes)
  }

  /// Notes a record of a page.
  /// - Returns: whether the page was written before.
  private func note(_ page: RAMPage, isWritten: Bool) -> Bool {
    let before = trackers[page.block].bits(of: page.offset)
    if !before.isCurrent { pagesSeen[page.block] += 1 }
    trackers[page.block].note(page.offset, isPresent: isWritten)
    return before.isPresent
  }

  private func unread(_ what: String, at offset: UInt64) -> MigrationError {
    MigrationError(
      .ramFlags, "stream has \(what), which import does not read", section: "ram", at: offset,
      expected: "plain and zero pages")
  }

  private func checkWhole(at offset: UInt64) throws(MigrationError) {
    for (index, block) in blocks.enumerated() where pagesSeen[index] * Self.pageSize < block.size {
      var missing: UInt64 = 0
      while trackers[index].bits(of: missing).isCurrent { missing += Self.pageSize }
      throw MigrationError(
        .ramData, "stream does not hold all of RAM block \(block.name)", section: "ram",
        at: offset, expected: "\(block.size / Self.pageSize) pages",
        got: "\(pagesSeen[index]); the first that never came is at offset \(Spelled.hex(missing))")
    }
  }

  // MARK: The rest

  private func keep(
    _ header: SectionHeader, _ reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    let size = try reader.requireBody()
    cpuBytes += size
    guard cpuBytes <= Self.maximumCPUBytes else {
      throw MigrationError(
        .vcpuCount, "stream has more vCPUs than a guest", section: "cpu", at: header.offset)
    }
    let input = reader.input
    cpuSections.append((header, input.offset, Array(copying: input.bytes.extracting(first: size))))
  }

  private func vcpus() throws(MigrationError) -> [VCPUState] {
    if let given = additions.vcpus { return given }
    guard let description else {
      throw MigrationError(
        .vmdescriptionMissing, "without a VM description the vCPUs cannot be read",
        expected: "a description, or --vmsa")
    }
    var found: [VCPUState] = []
    for (index, section) in cpuSections.enumerated() {
      guard
        let device = description.device(section.header.name, instance: section.header.instance)
      else {
        throw MigrationError(
          .vmdescriptionMismatch, "VM description lacks a section", section: "cpu",
          at: section.header.offset)
      }
      do {
        let state = try device.body.decode(section.body.span, at: section.at)
        found.append(try VCPUState(apicID: UInt32(index), qemu: state))
      } catch {
        throw error.inSection("cpu")
      }
    }
    return found
  }

  private func describe(
    machine named: String, at offset: UInt64
  ) throws(MigrationError) -> GuestDescription {
    let machine = additions.machine ?? named
    guard !machine.isEmpty else {
      throw MigrationError(
        .configuration, "stream does not name its machine", at: 8, expected: "--machine")
    }
    let main = mainBlock
    let map = try GuestMap(
      try GuestLayout.ranges(
        machine: machine, size: blocks[main].size, below4G: additions.below4G, block: main),
      blocks: blocks)
    let isPrivate = additions.privateRanges.intersection(map.addresses)
    return GuestDescription(
      machine: machine, ramBlocks: blocks, map: map, attributes: isPrivate,
      pageStates: try PageStateMap(map.addresses, private: isPrivate), vcpus: try vcpus(),
      services: additions.services)
  }

  /// The block the guest's memory is in: by QEMU's names, else the largest.
  private var mainBlock: Int {
    for name in Self.mainBlocks {
      if let index = blocks.firstIndex(where: { $0.name == name }) { return index }
    }
    return blocks.indices.max { blocks[$0].size < blocks[$1].size } ?? 0
  }
}
