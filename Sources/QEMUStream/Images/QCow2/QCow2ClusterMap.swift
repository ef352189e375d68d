internal import Errors
internal import Wire

/// The positions of a snapshot's VM state in its image, from the snapshot's L1 table and the L2
/// tables that it names.
///
/// VM state is stored like disk data after the end of the disk: it begins with the first L2 table
/// that maps no part of the disk. No table is trusted: each is checked against the file's size
/// before it is read, only one L2 table is in memory, and no cluster may be used twice.
final class QCow2ClusterMap {
  /// The position of bytes of the state.
  enum Place: Equatable {
    /// Not stored: the bytes are zero.
    case hole
    /// Stored from this byte of the file on.
    case stored(UInt64)
    /// In a compressed cluster, which is stored in these bytes of the file.
    case packed(Range<UInt64>)
  }

  /// Consecutive bytes of the state: the position of the first, and their number.
  struct Extent: Equatable {
    var place: Place
    var count: UInt64
  }

  /// Number of entries of an L1 table that are read at once.
  private static let l1PieceEntries: UInt64 = 512
  private static let l1Limit: UInt64 = 32 << 20
  private static let offsetMask: UInt64 = 0x00ff_ffff_ffff_fe00
  private static let compressedFlag: UInt64 = 1 << 62

  let header: QCow2Header
  private let file: any PositionedSource
  private let stateSize: UInt64
  /// File offset of the L1 table, and the index of its first entry for the state.
  private let l1Offset: UInt64
  private let firstTable: UInt64
  /// Number of L2 tables that map the state.
  private let tables: UInt64
  /// Whether clusters of the state are compressed. Known after the survey.
  private(set) var hasCompressedClusters = false
  /// The entries of the L1 table that were read last, and the index of the first of them among the
  /// entries for the state.
  private var l1Piece: [UInt64] = []
  private var l1PieceStart: UInt64 = 0
  /// The words of the L2 table that was read last, and its number among the tables for the state.
  private var table: [UInt64] = []
  private var tableNumber: UInt64?
  /// File offset of that table; 0 for a table that is not stored.
  private var tableOffset: UInt64 = 0

  /// - Throws: `IMAGE-HEADER` when the L1 table is too short for the state, or its position is not
  ///   within the file.
  init(
    _ header: QCow2Header, _ snapshot: QCow2Snapshot, in file: any PositionedSource
  ) throws(MigrationError) {
    (self.header, self.file, stateSize) = (header, file, snapshot.stateSize)
    func groups(_ size: UInt64) -> UInt64 {
      size / header.coverage + (size % header.coverage == 0 ? 0 : 1)
    }
    firstTable = groups(snapshot.diskSize ?? header.diskSize)
    tables = groups(stateSize)
    l1Offset = snapshot.l1Offset
    let entries = UInt64(snapshot.l1Size)
    func refused(_ what: String, expected: String, got: UInt64) -> MigrationError {
      MigrationError(
        .imageHeader, "L1 table of the snapshot \(what)", at: snapshot.offset, expected: expected,
        got: Hex.number(got))
    }
    guard entries * 8 <= Self.l1Limit else {
      throw refused("is too long", expected: "at most \(Self.l1Limit) bytes", got: entries * 8)
    }
    guard l1Offset % header.clusterSize == 0, l1Offset <= file.size,
      entries * 8 <= file.size - l1Offset
    else {
      throw refused("has an invalid position", expected: "a place in the file", got: l1Offset)
    }
    guard firstTable <= entries, tables <= entries - firstTable else {
      throw refused(
        "is too short for its VM state",
        expected: "entries for \(stateSize) bytes after the disk's",
        got: entries)
    }
    guard file.size / header.clusterSize <= ClusterSet.limit else {
      throw MigrationError(
        .imageFormat, "image has more clusters than are supported", at: 0,
        expected: "at most \(ClusterSet.limit)", got: "\(file.size / header.clusterSize)")
    }
  }

  // MARK: The tables

  /// Reads all tables once, and refuses tables by which parts of the file would be read several
  /// times.
  /// - Throws: `IMAGE-DATA` for an entry out of range, a cluster that is used twice, or compressed
  ///   clusters that overlap; `IO-READ`.
  func survey() throws(MigrationError) {
    var met = ClusterSet(count: file.size / header.clusterSize + 1)
    func meet(_ offset: UInt64, at entry: UInt64) throws(MigrationError) {
      guard met.insert(offset / header.clusterSize) else {
        throw MigrationError(
          .imageData, "a cluster of the qcow2 image serves twice", at: entry,
          got: Hex.number(offset))
      }
    }
    // Measured only of an image that needs it, since no QEMU compresses the clusters of a state.
    var room: CompressedRoom?
    for number in 0..<tables {
      try load(number)
      guard tableOffset != 0 else { continue }
      try meet(tableOffset, at: l1Offset + 8 * (firstTable + number))
      let start = number * header.coverage
      let clusters = (min(header.coverage, stateSize - start) - 1) / header.clusterSize + 1
      for index in 0..<Int(clusters) {
        let place = tableOffset + UInt64(index * header.entrySize)
        if let offset = try stored(index) { try meet(offset, at: place) }
        guard isPacked(index) else { continue }
        if room == nil { room = try CompressedRoom(in: file, of: header) }
        guard room?.take(try packed(index)) != false else {
          throw MigrationError(
            .imageData, "compressed clusters of the qcow2 image overlap", at: place,
            expected: "a place of at least \(room?.least ?? 0) bytes for each")
        }
      }
    }
    hasCompressedClusters = room != nil
    tableNumber = nil
  }

  /// The position of the bytes from `offset` on, and the number of bytes stored contiguously there,
  /// up to the last byte that the L2 table maps.
  /// - Parameters:
  ///   - offset: less than the state's size.
  ///   - wanted: number of bytes at which the search for further contiguous bytes ends.
  func extent(at offset: UInt64, wanted: UInt64 = .max) throws(MigrationError) -> Extent {
    let number = offset / header.coverage
    try load(number)
    let limit = min(header.coverage, stateSize - number * header.coverage)
    let start = offset % header.coverage
    guard tableOffset != 0 else { return Extent(place: .hole, count: limit - start) }
    var found = try part(at: start)
    var next = start + found.count
    while next < limit, found.count < wanted, case let more = try part(at: next),
      found.isFollowed(by: more)
    {
      found.count += more.count
      next += more.count
    }
    found.count = min(found.count, limit - start)
    return found
  }

  /// Reads an L2 table into memory, unless it is there.
  private func load(_ number: UInt64) throws(MigrationError) {
    guard number != tableNumber else { return }
    tableNumber = nil
    let place = l1Offset + 8 * (firstTable + number)
    tableOffset = try l1Entry(number) & Self.offsetMask
    if tableOffset != 0 {
      guard tableOffset % header.clusterSize == 0,
        tableOffset < file.size, header.clusterSize <= file.size - tableOffset
      else {
        throw MigrationError(
          .imageData, "an L2 table of the qcow2 image has an invalid position", at: place,
          expected: "a cluster of the file", got: Hex.number(tableOffset))
      }
      let end = tableOffset + header.clusterSize
      if let data = try file.nextData(from: tableOffset), data.lowerBound < end {
        table = try words(Int(header.clusterSize / 8), at: tableOffset)
      } else {
        // The table is in a hole of the file: all of its entries are zero.
        tableOffset = 0
      }
    }
    tableNumber = number
  }

  /// Reads big-endian words. They are decoded once, and not again for each question about an entry.
  private func words(_ count: Int, at offset: UInt64) throws(MigrationError) -> [UInt64] {
    var bytes = [UInt8](repeating: 0, count: 8 * count)
    var span = bytes.mutableSpan
    try file.read(at: offset, into: &span)
    var cursor = ByteCursor(bytes.span)
    var words: [UInt64] = []
    words.reserveCapacity(count)
    for _ in 0..<count { words.append(try cursor.read()) }
    return words
  }

  private func l1Entry(_ number: UInt64) throws(MigrationError) -> UInt64 {
    if l1Piece.isEmpty || number / Self.l1PieceEntries != l1PieceStart / Self.l1PieceEntries {
      l1PieceStart = number / Self.l1PieceEntries * Self.l1PieceEntries
      let count = min(Self.l1PieceEntries, tables - l1PieceStart)
      l1Piece = try words(Int(count), at: l1Offset + 8 * (firstTable + l1PieceStart))
    }
    return l1Piece[Int(number - l1PieceStart)]
  }

  // MARK: Entries

  private func number(_ index: Int, _ part: Int = 0) -> UInt64 {
    table[index * header.entrySize / 8 + part]
  }

  private func refused(_ what: String, _ index: Int, got: UInt64) -> MigrationError {
    MigrationError(
      .imageData, "an entry of an L2 table of the qcow2 image \(what)",
      at: tableOffset + UInt64(index * header.entrySize), got: Hex.number(got))
  }

  private func isPacked(_ index: Int) -> Bool { number(index) & Self.compressedFlag != 0 }

  /// File offset of a cluster that is stored uncompressed; nil for any other cluster.
  private func stored(_ index: Int) throws(MigrationError) -> UInt64? {
    if isPacked(index) { return nil }
    let entry = number(index)
    let offset = entry & Self.offsetMask
    let isZero = header.version >= 3 && !header.hasSubclusters && entry & 1 == 1
    if header.hasSubclusters {
      let bits = number(index, 1)
      guard bits & bits >> 32 & 0xffff_ffff == 0, offset != 0 || bits & 0xffff_ffff == 0 else {
        throw refused("contradicts itself about one part", index, got: bits)
      }
    }
    guard offset != 0, !isZero else { return nil }
    guard offset % header.clusterSize == 0, offset < file.size else {
      throw refused("names no cluster of the file", index, got: entry)
    }
    return offset
  }

  /// The bytes of the file that hold a compressed cluster. An entry gives whole sectors, so the
  /// cluster may end before them.
  private func packed(_ index: Int) throws(MigrationError) -> Range<UInt64> {
    let entry = number(index)
    let bits = UInt64(62 - (header.clusterBits - 8))
    let start = entry & (1 << bits - 1)
    let sectors = (entry & (Self.compressedFlag - 1)) >> bits
    guard start < file.size else {
      throw refused("names no byte of the file", index, got: entry)
    }
    // The last sector may extend beyond the end of the file.
    return start..<min((start / 512 + sectors + 1) * 512, file.size)
  }

  /// The position of the byte at `offset` in the range that the table maps, and of the bytes after
  /// it in the same cluster or subcluster.
  private func part(at offset: UInt64) throws(MigrationError) -> Extent {
    let index = Int(offset / header.clusterSize)
    let inside = offset % header.clusterSize
    let left = header.clusterSize - inside
    if isPacked(index) {
      return Extent(place: .packed(try packed(index)), count: left)
    }
    guard let start = try stored(index) else { return Extent(place: .hole, count: left) }
    guard header.hasSubclusters else {
      return Extent(place: .stored(start + inside), count: left)
    }
    let size = header.clusterSize / 32
    let isStored = number(index, 1) >> (inside / size) & 1 == 1
    return Extent(
      place: isStored ? .stored(start + inside) : .hole, count: size - inside % size)
  }
}

extension QCow2ClusterMap.Extent {
  /// Whether `next` continues this extent contiguously.
  fileprivate func isFollowed(by next: Self) -> Bool {
    switch (place, next.place) {
    case (.hole, .hole): true
    case (.stored(let start), .stored(let follower)): start + count == follower
    default: false
    }
  }
}
