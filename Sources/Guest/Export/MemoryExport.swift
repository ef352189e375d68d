package import Errors
package import FileIO
internal import SEVSNP
internal import Wire

/// A file with memory of a guest: a head, followed by pieces of RAM blocks. Zero pages become holes
/// of the file.
package struct MemoryExport {
  /// Bytes read at once.
  private static let batchSize = 1 << 20

  /// A range of a RAM block and its place in the file.
  struct Piece: Equatable {
    var block: Int
    /// Offset in the block.
    var offset: UInt64
    var size: UInt64
    /// Offset in the file. Pieces are in ascending order of it and do not overlap.
    var target: UInt64
  }

  private let files: BlockFiles
  let head: [UInt8]
  let pieces: [Piece]
  /// Bytes of the file.
  package let size: UInt64
  /// Bytes of guest memory in the file.
  package var memorySize: UInt64 { pieces.reduce(0) { $0 + $1.size } }

  private init(_ files: BlockFiles, head: [UInt8] = [], _ pieces: [Piece], size: UInt64) {
    (self.files, self.head, self.pieces, self.size) = (files, head, pieces, size)
  }

  /// A part of one RAM block.
  /// - Parameters:
  ///   - block: index of the block.
  ///   - range: offsets in the block.
  package static func block(
    _ block: Int, _ range: Range<UInt64>, in files: BlockFiles
  ) -> MemoryExport {
    let size = range.upperBound - range.lowerBound
    return MemoryExport(
      files, [Piece(block: block, offset: range.lowerBound, size: size, target: 0)], size: size)
  }

  /// The main RAM block, from its first byte to its last: the one that backs the lowest address.
  /// - Throws: `MAP-LAYOUT` when no memory is mapped.
  package static func mainBlock(of guest: GuestReader) throws(MigrationError) -> MemoryExport {
    guard let first = guest.description.map.ranges.first else {
      throw MigrationError(.guestMap, "guest has no mapped memory")
    }
    let size = guest.description.ramBlocks[first.block].size
    return block(first.block, 0..<size, in: guest.memory)
  }

  /// A range of guest-physical memory, without gaps.
  /// - Throws: `MAP-LAYOUT` when an address of the range is not mapped.
  package static func memory(
    _ range: ByteRange, of guest: GuestReader
  ) throws(MigrationError) -> MemoryExport {
    var pieces: [Piece] = []
    var done: UInt64 = 0
    while done < range.size {
      guard let place = guest.description.map.locate(range.start + done) else {
        throw MigrationError(.guestMap, "no memory is mapped at \(Hex.number(range.start + done))")
      }
      let size = min(place.available, range.size - done)
      pieces.append(Piece(block: place.block, offset: place.offset, size: size, target: done))
      done += size
    }
    return MemoryExport(guest.memory, pieces, size: done)
  }

  /// An ELF core: every mapped range is a segment, at its guest-physical address or, with page tables, at
  /// the virtual addresses that they give it.
  /// - Parameters:
  ///   - range: nil for all memory; otherwise only the mapped memory in this range.
  ///   - vcpu: index of the vCPU whose page tables are used; nil for none.
  /// - Throws: `MAP-LAYOUT` when no memory is mapped, or none in the range, or the page tables cannot be
  ///   used; `IO-READ`.
  package static func core(
    _ range: ByteRange? = nil, pagingOf vcpu: Int? = nil, of guest: GuestReader
  ) throws(MigrationError) -> MemoryExport {
    var segments: [(gpa: UInt64, block: Int, offset: UInt64, size: UInt64)] = []
    for mapped in guest.description.map.ranges {
      let start = max(mapped.gpa, range?.start ?? 0)
      let end = min(mapped.end, range?.end ?? .max)
      guard start < end else { continue }
      segments.append((start, mapped.block, mapped.offset + (start - mapped.gpa), end - start))
    }
    guard !segments.isEmpty else {
      throw MigrationError(
        .guestMap, "no memory is mapped there",
        got: range.map { "\(Hex.number($0.start)) and \(Hex.number($0.size)) bytes" })
    }
    var vmsas: [VMSA] = []
    for vcpu in guest.description.vcpus { vmsas.append(try VMSA(vcpu.vmsa)) }
    let ranges = segments.map { ELFCore.Segment(gpa: $0.gpa, size: $0.size) }
    let core = ELFCore(
      notes: ELFCoreNotes.encode(vmsas), segments: ranges,
      loads: try loads(pagingOf: vcpu, vmsas, of: guest, in: ranges))
    let pieces = zip(segments, core.offsets).map { segment, target in
      Piece(block: segment.block, offset: segment.offset, size: segment.size, target: target)
    }
    return MemoryExport(guest.memory, head: core.head, pieces, size: core.size)
  }

  /// The virtual addresses of memory; nil without paging.
  private static func loads(
    pagingOf vcpu: Int?, _ vmsas: [VMSA], of guest: GuestReader, in segments: [ELFCore.Segment]
  ) throws(MigrationError) -> [ELFCore.Load]? {
    guard let vcpu else { return nil }
    guard vmsas.indices.contains(vcpu) else {
      throw MigrationError(
        .guestMap, "guest has no vCPU of this number, whose page tables are to be used",
        expected: "below \(vmsas.count)", got: "\(vcpu)")
    }
    return try ELFCore.loads(PageTables.mappings(of: vmsas[vcpu], in: guest), in: segments)
  }

  /// Writes the file; the caller commits it.
  /// - Parameters:
  ///   - isSequential: whether the output cannot be written by position; zeros are then written
  ///     instead of skipped.
  ///   - progress: called with the bytes of memory that have been written.
  /// - Throws: `IO-READ`, `IO-WRITE`.
  package func write(
    to output: OutputFile, isSequential: Bool, progress: (UInt64) -> Void = { _ in }
  ) throws(MigrationError) {
    var sink = SparseSink(output, isSequential: isSequential)
    try sink.write(head.span, at: 0)
    let buffer = PageBuffer(count: Self.batchSize)
    var before: UInt64 = 0
    for piece in pieces {
      let end = piece.offset + piece.size
      var next = piece.offset
      while next < end {
        let stretch = try files.stretch(block: piece.block, from: next, to: end)
        while !stretch.isHole, next < stretch.end {
          let count = Int(min(UInt64(Self.batchSize), stretch.end - next))
          var span = buffer.mutableSpan(0..<count)
          try files.read(block: piece.block, at: next, into: &span)
          try sink.writeData(
            buffer.span.extracting(first: count), at: piece.target + (next - piece.offset))
          next += UInt64(count)
          progress(before + (next - piece.offset))
        }
        next = stretch.end
      }
      before += piece.size
      progress(before)
    }
    try sink.end(at: size)
  }

  /// Writes pieces of a file in ascending order; the bytes between them are zero.
  private struct SparseSink {
    private static let zeros = [UInt8](repeating: 0, count: 1 << 16)
    private let output: OutputFile
    private let isSequential: Bool
    /// Bytes written to a sequential output.
    private var position: UInt64 = 0

    init(_ output: OutputFile, isSequential: Bool) {
      (self.output, self.isSequential) = (output, isSequential)
    }

    mutating func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
      guard isSequential else { return try output.write(bytes, at: offset) }
      try fill(to: offset)
      try output.write(bytes)
      position += UInt64(bytes.count)
    }

    /// Writes the pages that are not zero; adjacent ones are written together.
    mutating func writeData(_ bytes: Span<UInt8>, at offset: UInt64) throws(MigrationError) {
      var start = 0
      var next = 0
      while next < bytes.count {
        let end = min(next + Page.size, bytes.count)
        if bytes.extracting(next..<end).isAllZero {
          if start < next {
            try write(bytes.extracting(start..<next), at: offset + UInt64(start))
          }
          start = end
        }
        next = end
      }
      if start < next { try write(bytes.extracting(start..<next), at: offset + UInt64(start)) }
    }

    mutating func end(at size: UInt64) throws(MigrationError) {
      if isSequential { try fill(to: size) } else { try output.resize(to: size) }
    }

    private mutating func fill(to offset: UInt64) throws(MigrationError) {
      while position < offset {
        let count = min(UInt64(Self.zeros.count), offset - position)
        try output.write(Self.zeros.span.extracting(first: Int(count)))
        position += count
      }
    }
  }
}

/// A range of guest-physical addresses with byte granularity.
package struct ByteRange: Sendable, Hashable {
  /// First address.
  package let start: UInt64
  /// At least 1; the range ends at or below 2^52.
  package let size: UInt64
  /// First address after the range.
  package var end: UInt64 { start + size }

  /// - Returns: nil when the range is empty or reaches beyond the address limit.
  package init?(start: UInt64, size: UInt64) {
    guard size > 0, size <= GPARange.limit, start <= GPARange.limit - size else { return nil }
    (self.start, self.size) = (start, size)
  }

  /// - Parameter text: `FIRST-LAST` or `FIRST+LENGTH`, numbers as `byteCount` reads them.
  /// - Returns: nil when the text is neither.
  package init?(parsing text: String) {
    guard let mark = text.firstIndex(where: { $0 == "-" || $0 == "+" }),
      let first = byteCount(text[..<mark]), let second = byteCount(text[text.index(after: mark)...])
    else { return nil }
    if text[mark] == "+" {
      self.init(start: first, size: second)
    } else {
      guard second >= first, second < GPARange.limit else { return nil }
      self.init(start: first, size: second - first + 1)
    }
  }
}
