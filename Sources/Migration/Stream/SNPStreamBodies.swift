internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Wire

/// Reading of the bodies of sections, as far as their form is concerned.
extension SNPStreamReader {
  mutating func readDevice(
    _ header: SectionHeader, _ due: (entry: Int, header: SectionHeader, length: Int)
  ) throws(MigrationError) -> Record {
    guard header.kind == .full, header.name == due.header.name,
      header.instance == due.header.instance, header.version == due.header.version
    else {
      throw MigrationError(
        .sectionOrder, "section of the machine out of order", at: header.offset,
        expected: "\(due.header.name) instance \(due.header.instance)",
        got: "\(header.name) instance \(header.instance)")
    }
    try take(due.length)
    return .device(entry: due.entry)
  }

  private mutating func readMachine() throws(MigrationError) -> Record {
    let lengthSize = MachineState.Layout.range(of: \.length).count
    try input.require(lengthSize)
    var head = ByteCursor(input.bytes, at: payloadOffset)
    let length = try head.read(UInt32.self)
    guard length <= MachineState.maximumSize - lengthSize else {
      throw MigrationError(
        .sectionLength, "machine state is too long", at: payloadOffset,
        expected: "at most \(MachineState.maximumSize - lengthSize)", got: "\(length)")
    }
    try take(lengthSize + Int(length))
    var cursor = ByteCursor(payload, at: payloadOffset)
    let frame = try MachineFrame(from: &cursor, isWhole: false)
    devices = frame.following[...]
    return .machine(frame)
  }

  mutating func readBody(
    of known: SNPSection, _ header: SectionHeader
  ) throws(MigrationError) -> Record {
    switch known {
    case .session:
      let fixed = TransferData.Layout.size
      try input.require(fixed)
      let evidence = try TransferData.evidenceSize(
        TransferData.Layout(at: 0, of: input.bytes), at: payloadOffset)
      let data = try TransferData(
        try input.readArray(fixed + evidence), at: payloadOffset, refuse: refuse)
      sourceKey = data.sourceKey
      return .session(data)
    case .ram:
      insideRAM = true
      return try nextRAMRecord()
    case .guestMap:
      return try readGuestMap(header)
    case .pages:
      let record = try readPart(header, size: PageMetadata.recordSize, as: .pages(count: 1))
      guard header.kind == .part else { return record }
      let count = countPages(header.id)
      pending = (count - 1) * Self.pageStride + PageMetadata.recordSize
      return .pages(count: count)
    case .epochs:
      return try readPart(header, size: EpochToken.Layout.size, as: .token)
    case .machine:
      return try readMachine()
    case .final(let kind): return try readFinal(kind, header)
    case .commit:
      try take(CommitRecord.Layout.size)
      return .commit
    }
  }

  private mutating func take(_ count: Int) throws(MigrationError) {
    try input.require(count)
    pending = count
  }

  private mutating func readPart(
    _ header: SectionHeader, size: Int, as record: Record
  ) throws(MigrationError) -> Record {
    try take(size)
    guard header.kind != .part else { return record }
    let body = payload
    if let index = body.indices.first(where: { body[$0] != 0 }) {
      let error = MigrationError(
        .sectionReserved, "start or end of the section has content",
        at: payloadOffset + UInt64(index), expected: "0", got: "\(body[index])")
      try refuse(error)
    }
    return .skipped(header)
  }

  /// How many page records are at the front of the window, part after part, all of them read
  /// already. The section header of one part holds for the next.
  private func countPages(_ id: UInt32) -> Int {
    var border = [UInt8]()
    border.append(StreamGrammar.Footer(id: id))
    border.append(StreamGrammar.PartHeader(.part, id: id))
    let window = input.bytes
    var (count, end) = (1, PageMetadata.recordSize)
    while end + Self.pageStride <= window.count,
      window.extracting(end..<end + border.count).isEqual(to: border)
    {
      end += Self.pageStride
      count += 1
    }
    return count
  }

  private mutating func readGuestMap(_ section: SectionHeader) throws(MigrationError) -> Record {
    // The map is read as a whole, and its count is checked before its entries are requested.
    try input.require(GuestMap.Header.size)
    let count = GuestMap.Header(at: 0, of: input.bytes).count.value
    guard count <= GuestMap.maximumCount else {
      throw MigrationError(
        .guestMap, "guest map has too many entries", at: payloadOffset,
        expected: "at most \(GuestMap.maximumCount)", got: "\(count)")
    }
    try take(GuestMap.Header.size + Int(count) * GuestMap.Entry.size)
    var cursor = ByteCursor(payload, at: payloadOffset)
    do throws(MigrationError) {
      return .guestMap(try GuestMap(from: &cursor, blocks: guestBlocks))
    } catch {
      try refuse(error)
      return .skipped(section)
    }
  }

  /// Takes the block list, which has just been read.
  mutating func noteBlocks() throws(MigrationError) {
    // An entry is one byte of length, the name, and eight bytes of size.
    func size(_ block: QEMUStream.RAMBlock) -> UInt64 { UInt64(1 + block.name.bytes.count + 8) }
    var entry = ram.blocks.reduce(payloadOffset) { $0 - size($1) }
    for block in ram.blocks {
      guard let name = String(validating: block.name.bytes, as: UTF8.self) else {
        throw MigrationError(
          .ramBlock, "name of a RAM block is not UTF-8", at: entry + 1, got: "\(block.name)")
      }
      do throws(MigrationError) {
        guestBlocks.append(try Guest.RAMBlock(name: name, size: block.length))
      } catch {
        var error = error
        error.offset = entry
        throw error
      }
      entry += size(block)
    }
  }

  /// Finds where a final record ends. The holder of the keys judges its other fields, after its
  /// tag.
  private mutating func readFinal(
    _ kind: FinalRecord.Kind, _ header: SectionHeader
  ) throws(MigrationError) -> Record {
    try input.require(FinalRecord.Layout.size)
    try take(FinalRecord.size(at: ByteCursor(input.bytes, at: payloadOffset)))
    return .final(FinalRecord.Place(kind, header.instance))
  }
}
