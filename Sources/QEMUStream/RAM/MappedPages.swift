internal import Errors
internal import Wire

/// The pages of one block of a mapped-ram file.
///
/// Holes of the file are not read, neither in the bitmap nor among the pages, so the time for a
/// sparse file depends on its stored bytes and not on its size.
struct MappedPages {
  private static let bitmapPiece: UInt64 = 64 << 10
  private let mapped: MappedBlock
  private let block: Int
  private let file: any PositionedSource
  private let pageSize: UInt64
  private let pages: UInt64
  private let content = PageBuffer(count: 256 << 10)

  init(of mapped: MappedBlock, block: Int, in file: any PositionedSource) {
    (self.mapped, self.block, self.file) = (mapped, block, file)
    pageSize = UInt64(mapped.page.size)
    pages = mapped.page.number(mapped.length)
  }

  /// - Throws: the errors of reading and writing.
  func read(
    into writer: PageWriter?, _ observe: RAMAssembly.Observer
  ) throws(MigrationError) {
    let bitmap = PageBuffer(count: Int(Self.bitmapPiece))
    let end = mapped.bitmap + mapped.bitmapSize
    // The range of stored pages that was found last; no page before it is stored.
    var data = mapped.pages..<mapped.pages
    var place = mapped.bitmap
    while place < end {
      let found = try file.nextData(from: place).map { $0.clamped(to: place..<end) }
      let start = found.map { $0.isEmpty ? end : $0.lowerBound } ?? end
      noteZero(from: page(at: place), to: page(at: start), observe)
      place = start
      let stop = found?.upperBound ?? end
      while place < stop {
        let count = Int(min(Self.bitmapPiece, stop - place))
        var target = bitmap.mutableSpan(0..<count)
        try file.read(at: place, into: &target)
        let (first, last) = (page(at: place), page(at: place + UInt64(count)))
        var next = first
        while next < last {
          let run = Self.run(from: next - first, to: last - first, in: bitmap.span)
          if run.isSet {
            observe(RAMPage(block: block, offset: next * pageSize), run.count, false)
            try copy(next..<next + run.count, &data, into: writer)
          } else {
            noteZero(from: next, to: next + run.count, observe)
          }
          next += run.count
        }
        place += UInt64(count)
      }
    }
  }

  /// The page of the first bit of a byte of the bitmap. The last bits of the bitmap may stand for
  /// no page.
  private func page(at place: UInt64) -> UInt64 { min((place - mapped.bitmap) * 8, pages) }

  private func noteZero(from first: UInt64, to end: UInt64, _ observe: RAMAssembly.Observer) {
    guard first < end else { return }
    observe(RAMPage(block: block, offset: first * pageSize), end - first, true)
  }

  /// The number of bits from `start` on that are equal to the first.
  private static func run(
    from start: UInt64, to end: UInt64, in bitmap: Span<UInt8>
  ) -> (isSet: Bool, count: UInt64) {
    func isSet(_ bit: UInt64) -> Bool { bitmap[Int(bit / 8)] >> (bit % 8) & 1 == 1 }
    let first = isSet(start)
    var next = start + 1
    while next < end, isSet(next) == first { next += 1 }
    return (first, next - start)
  }

  /// Writes the stored pages of a run. Pages in holes are not written, since memory is zero at
  /// first.
  /// - Parameter data: the range of stored bytes that was found last, widened to whole pages. Only
  ///   a hole lies between the pages handled before and this range.
  private func copy(
    _ run: Range<UInt64>, _ data: inout Range<UInt64>, into writer: PageWriter?
  ) throws(MigrationError) {
    guard writer != nil else { return }
    var place = mapped.pages + run.lowerBound * pageSize
    let end = mapped.pages + run.upperBound * pageSize
    while place < end {
      if place >= data.upperBound {
        guard let found = try file.nextData(from: place) else {
          data = mapped.end..<mapped.end
          return
        }
        data = wholePages(of: found, from: place)
      }
      place = max(place, data.lowerBound)
      while place < min(end, data.upperBound) {
        let count = Int(min(UInt64(content.count), min(end, data.upperBound) - place))
        var target = content.mutableSpan(0..<count)
        try file.read(at: place, into: &target)
        try writer?.write(
          RAMPage(block: block, offset: place - mapped.pages),
          content.span.extracting(first: count))
        place += UInt64(count)
      }
    }
  }

  /// The pages after `place` that a range of stored bytes touches.
  private func wholePages(of data: Range<UInt64>, from place: UInt64) -> Range<UInt64> {
    let first = (data.lowerBound - place) / pageSize
    let last =
      (min(data.upperBound, mapped.end) - min(place, mapped.end) + pageSize - 1)
      / pageSize
    return data.lowerBound >= mapped.end
      ? mapped.end..<mapped.end : place + first * pageSize..<place + last * pageSize
  }
}
