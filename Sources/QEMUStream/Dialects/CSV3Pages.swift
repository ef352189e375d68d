internal import Errors
internal import Wire

/// The pages and CPU states of a CSV3 guest, which differ from those of SEV and CSV guests
/// (Avenger-285714/qemu-deepin 35ba8fdf, `migration/ram.c`, `ram_save_csv3_pages`;
/// `target/i386/csv.c`, `csv3_send_encrypt_data`, `csv3_send_encrypt_context`).
extension SEVWalker {
  /// Most pages in one record (`CSV3_OUTGOING_PAGE_WINDOW_SIZE`).
  static let frameLimit: UInt32 = 512
  /// Largest context that is read: 16 MiB.
  static let contextLimit: UInt32 = 16 << 20

  /// Bits of an entry in the list of addresses, little-endian: bit 0 shared, bits 1 to 11 reserved,
  /// higher bits the page number.
  private struct Frame {
    var value: UInt64
    var isShared: Bool { value & 1 != 0 }
    var reserved: UInt64 { value >> 1 & 0x7FF }
    var number: UInt64 { value >> 12 }
  }

  /// Reads a record of pages: header, list of addresses, content.
  mutating func readFrames(
    _ kind: Kind, _ word: ForeignWord, at place: UInt64, from input: StreamInput,
    _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    guard kind == .page else {
      throw MigrationError(
        .ramData, "record is not allowed in a stream of a CSV3 guest", in: .ram, at: place,
        expected: "kind 1",
        got: "kind \(kind.rawValue)")
    }
    if word.address != 0 {
      try refuse(
        MigrationError(
          .ramOffset, "pages of a CSV3 guest have no place in a block", in: .ram, at: word.offset,
          expected: "0", got: Hex.number(word.address)))
    }
    try input.skip(UInt64(try readHeaderSize(from: input)))
    let entry = UInt32(LE64.size)
    let lengthPlace = input.offset
    let length = try input.readLength(of: "the list of addresses", entry...entry * Self.frameLimit)
    guard length % entry == 0 else {
      throw MigrationError(
        .sectionLength, "list of addresses has a part of an entry", in: .ram, at: lengthPlace,
        got: "\(length)")
    }
    try readAddresses(Int(length / entry), from: input, &facts)
    let size = length / entry * UInt32(Page.size)
    try input.skip(UInt64(try input.readLength(of: "encrypted pages", size...size)))
    facts.pages.batches += 1
  }

  private mutating func readAddresses(
    _ count: Int, from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    var numbers: Set<UInt64> = []
    numbers.reserveCapacity(count)
    for _ in 0..<count {
      let place = input.offset
      let frame = Frame(value: try input.read(UInt64.self).byteSwapped)
      if frame.reserved != 0 {
        try refuse(
          MigrationError(
            .sectionReserved, "reserved bits are not zero", in: .ram, at: place, expected: "0",
            got: Hex.number(frame.reserved)))
      }
      if !numbers.insert(frame.number).inserted {
        try refuse(
          MigrationError(
            .pageRepeated, "page is repeated within a record", in: .ram, at: place,
            got: Hex.number(frame.number << 12)))
      }
      if frame.isShared { facts.pages.shared += 1 }
      facts.notePage(isNew: try books.add(frame: frame.number))
    }
  }

  /// Reads the state of all vCPUs, which is a single packet.
  mutating func readContext(
    from input: StreamInput, _ facts: inout ConfidentialFacts
  ) throws(MigrationError) {
    let place = input.offset
    let header = try input.readLength(of: "a context's header", 1...Self.contextLimit)
    try input.skip(UInt64(header))
    let size = try input.readLength(of: "a context", 1...Self.contextLimit)
    try input.skip(UInt64(size))
    facts.cpuStates.append(.init(index: nil, size: UInt64(size), offset: place))
  }
}
