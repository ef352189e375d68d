package import Errors
internal import FileIO
package import Wire

/// A stream composed of pieces of other streams and of literal bytes.
///
/// It holds no content of its inputs: memory grows with the number of edits. Pieces of an input
/// keep their offsets in the input, so that an edit can find what it names wherever that was moved.
package struct PieceList: Sendable {
  enum Content: Sendable {
    /// Bytes of an input, beginning at an offset.
    case stored(input: Int, at: UInt64)
    case literal(ArraySlice<UInt8>)
  }

  struct Piece: Sendable {
    var content: Content
    var count: UInt64
    /// The space in which `origin` is an offset; nil for bytes that represent nothing in an input.
    var space: Int?
    var origin: UInt64

    /// The first `count` bytes of the piece.
    func front(_ count: UInt64) -> Piece {
      var piece = self
      piece.count = count
      if case .literal(let bytes) = content {
        piece.content = .literal(bytes.prefix(Int(count)))
      }
      return piece
    }

    func back(from count: UInt64) -> Piece {
      var piece = self
      piece.count -= count
      piece.origin += count
      switch content {
      case .stored(let input, let offset):
        piece.content = .stored(input: input, at: offset + count)
      case .literal(let bytes): piece.content = .literal(bytes.dropFirst(Int(count)))
      }
      return piece
    }
  }

  let stores: [any ByteStore]
  private(set) var pieces: [Piece]

  /// The first of `stores`, unchanged.
  init(_ stores: [any ByteStore]) {
    self.stores = stores
    let size = stores[0].size
    pieces =
      size == 0
      ? [] : [Piece(content: .stored(input: 0, at: 0), count: size, space: 0, origin: 0)]
  }

  // MARK: Reading

  /// Largest number of bytes of an input that are read at once.
  static let windowSize = 256 << 10

  /// The bytes of a piece of at most `windowSize` bytes.
  func bytes(of window: Piece) throws(MigrationError) -> [UInt8] {
    switch window.content {
    case .literal(let bytes): return Array(bytes)
    case .stored(let input, let offset):
      return try stores[input].read(offset..<offset + window.count)
    }
  }

  /// Calls `body` with the bytes of a piece, in order and at most `windowSize` at once.
  private func read(
    _ piece: Piece, _ body: ([UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    var next: UInt64 = 0
    while next < piece.count {
      let window = piece.back(from: next).front(min(UInt64(Self.windowSize), piece.count - next))
      try body(bytes(of: window))
      next += window.count
    }
  }

  /// Calls `body` with the bytes that now represent those of `location`, which must still be whole.
  mutating func read(
    _ location: Location, _ body: ([UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    for piece in pieces[try claim(location)] { try read(piece, body) }
  }

  /// The bytes that now represent those of `location`, which must still be whole and few.
  mutating func read(_ location: Location) throws(MigrationError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(location.size))
    try read(location) { bytes += $0 }
    return bytes
  }

  /// Whether the bytes of `location` are still consecutive.
  mutating func holds(_ location: Location) -> Bool {
    do throws(MigrationError) {
      _ = try claim(location)
      return true
    } catch {
      return false
    }
  }

  /// Writes all pieces.
  /// - Throws: `IO-READ`, `IO-WRITE`.
  package func write(to output: any ByteOutput) throws(MigrationError) {
    for piece in pieces {
      try read(piece) { (bytes) throws(MigrationError) in try output.write(bytes) }
    }
  }

  // MARK: Editing

  /// Splits the piece that crosses `offset` of `space`, if there is one.
  private mutating func split(_ space: Int, at offset: UInt64) {
    for index in pieces.indices {
      let piece = pieces[index]
      guard piece.space == space, piece.origin < offset, offset < piece.origin + piece.count else {
        continue
      }
      pieces[index] = piece.front(offset - piece.origin)
      pieces.insert(piece.back(from: offset - piece.origin), at: index + 1)
      return
    }
  }

  /// The pieces that represent `location`, which must be complete and consecutive.
  /// - Throws: `RECIPE-PLACE` when an earlier edit has separated them.
  private mutating func claim(_ location: Location) throws(MigrationError) -> Range<Int> {
    let end = location.offset + location.size
    split(location.space, at: location.offset)
    split(location.space, at: end)
    guard location.size > 0 else {
      let next = try index(of: location)
      return next..<next
    }
    let taken = MigrationError(
      .recipePlace, "an edit before has taken these bytes apart", at: location.offset)
    guard
      let first = pieces.firstIndex(where: {
        $0.space == location.space && $0.origin == location.offset
      })
    else { throw taken }
    var (next, index) = (location.offset, first)
    while next < end {
      guard index < pieces.count, pieces[index].space == location.space,
        pieces[index].origin == next
      else { throw taken }
      next += pieces[index].count
      index += 1
    }
    return first..<index
  }

  /// The index at which a piece that begins at `location` is, or would be inserted.
  private mutating func index(
    of location: Location, _ side: Recipe.Side = .before
  ) throws(MigrationError) -> Int {
    split(location.space, at: location.offset)
    if side == .before,
      let index = pieces.firstIndex(where: {
        $0.space == location.space && $0.origin == location.offset
      })
    {
      return index
    }
    // No piece begins there any more: use the index after the piece that ends there.
    if let index = pieces.lastIndex(where: {
      $0.space == location.space && $0.origin + $0.count == location.offset
    }) {
      return index + 1
    }
    if side == .after { return try index(of: location) }
    if pieces.isEmpty { return 0 }
    throw MigrationError(
      .recipePlace, "an edit before has cut this place out", at: location.offset)
  }

  /// Replaces the first bytes of `location` with `bytes`.
  mutating func set(_ location: Location, to bytes: [UInt8]) throws(MigrationError) {
    guard !bytes.isEmpty else { return }
    let part = Location(
      space: location.space, offset: location.offset, size: UInt64(bytes.count))
    let range = try claim(part)
    pieces.replaceSubrange(
      range,
      with: [
        Piece(
          content: .literal(bytes[...]), count: UInt64(bytes.count), space: part.space,
          origin: part.offset)
      ])
  }

  mutating func cut(_ location: Location) throws(MigrationError) {
    pieces.removeSubrange(try claim(location))
  }

  /// Removes everything from `location` on.
  mutating func truncate(at location: Location) throws(MigrationError) {
    let start = try index(of: location)
    pieces.removeSubrange(start...)
  }

  /// Inserts literal bytes at `location`, next to the piece before it or after it.
  mutating func insert(
    _ bytes: [UInt8], at location: Location, _ side: Recipe.Side
  ) throws(MigrationError) {
    let place = try index(of: location, side)
    pieces.insert(
      Piece(content: .literal(bytes[...]), count: UInt64(bytes.count), space: nil, origin: 0),
      at: place)
  }

  mutating func append(_ bytes: [UInt8]) {
    pieces.append(
      Piece(content: .literal(bytes[...]), count: UInt64(bytes.count), space: nil, origin: 0))
  }

  /// Inserts `range` of an input at `location`. The copy is addressed as `space` from now on.
  mutating func insert(
    input: Int, _ range: Range<UInt64>, as space: Int, at location: Location, _ side: Recipe.Side
  ) throws(MigrationError) {
    let place = try index(of: location, side)
    pieces.insert(
      Piece(
        content: .stored(input: input, at: range.lowerBound), count: UInt64(range.count),
        space: space, origin: range.lowerBound), at: place)
  }

  /// Moves the bytes of `location` to `target`.
  mutating func move(
    _ location: Location, to target: Location, _ side: Recipe.Side
  ) throws(MigrationError) {
    _ = try index(of: target, side)
    let range = try claim(location)
    let moved = Array(pieces[range])
    pieces.removeSubrange(range)
    let place = try index(of: target, side)
    pieces.insert(contentsOf: moved, at: place)
  }

  /// Exchanges two ranges.
  mutating func swap(_ first: Location, _ second: Location) throws(MigrationError) {
    _ = try claim(first)
    let late = try claim(second)
    let early = try claim(first)
    guard !early.overlaps(late) else {
      throw MigrationError(.recipePlace, "the two places overlap", at: first.offset)
    }
    let (low, high) = early.lowerBound < late.lowerBound ? (early, late) : (late, early)
    let (lowPieces, highPieces) = (Array(pieces[low]), Array(pieces[high]))
    pieces.replaceSubrange(high, with: lowPieces)
    pieces.replaceSubrange(low, with: highPieces)
  }
}
