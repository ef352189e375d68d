internal import Cryptography
internal import Errors
internal import FileIO
internal import Migration
internal import QEMUStream
internal import SVSM
internal import Wire

/// Writes an edited stream and repairs it on the way: everything that depends on earlier records is
/// computed again. It works in one pass, and memory does not grow with the stream.
struct Rewriter: ~Copyable {
  let scene: Scene
  let pieces: PieceList
  let repair: Repair
  let rogue: RogueSource?
  let hostKey: HostKey
  private let edits: [PartKey: [LateEdit]]
  var output: SealedOutput
  var books: RewriterBooks
  var description: DescriptionMender
  /// Whether one of the edits changed any byte.
  var isEdited = false
  private var ids: Set<UInt32> = []
  private var nextID: UInt32 = 0x2000_0000
  /// Position of the next byte in `pieces`.
  private var piece = 0
  private var consumed: UInt64 = 0
  /// Number of bytes that come next and are copied as they are. Small parts are copied together.
  private var waiting: UInt64 = 0

  init(
    _ pieces: PieceList, _ scene: Scene, repair: Repair, rogue: RogueSource?,
    edits: [PartKey: [LateEdit]], to output: any ByteOutput
  ) throws(MigrationError) {
    // What can fail comes first, because a noncopyable value must not be left half initialized.
    let hostKey = try HostKey(seed: scene.seed)
    let description = try DescriptionMender(scene)
    let tokens = try Self.tokens(pieces, scene)
    self.pieces = pieces
    self.scene = scene
    self.repair = repair
    self.rogue = rogue
    self.edits = edits
    self.hostKey = hostKey
    self.description = description
    self.output = SealedOutput(output)
    books = RewriterBooks(lastToken: tokens)
  }

  /// Number of tokens that will be written. The last one must state that it is the last.
  private static func tokens(
    _ pieces: PieceList, _ scene: Scene
  ) throws(MigrationError) -> Int {
    var count = 0
    for stretch in Stretch.all(in: pieces) {
      guard let space = stretch.space else { continue }
      let anatomy = scene.inputs[scene.spaces[space]].anatomy
      count += try anatomy.count(.token, in: stretch.start..<stretch.end)
    }
    return count
  }

  /// Writes the whole stream.
  mutating func run() throws(MigrationError) {
    for stretch in Stretch.all(in: pieces) {
      guard let space = stretch.space else {
        waiting += stretch.count
        continue
      }
      var parts = Anatomy.PartReader(scene.inputs[scene.spaces[space]].anatomy)
      var next = stretch.start
      while next < stretch.end {
        guard let part = try parts.part(at: next), part.end > next else {
          waiting += stretch.end - next
          break
        }
        if part.start == next, part.end <= stretch.end {
          try rewrite(NamedPart(space: space, part: part))
          next = part.end
        } else {
          let end = min(part.end, stretch.end)
          waiting += end - next
          next = end
        }
      }
    }
    try copyWaiting()
  }

  // MARK: Bytes of the edited stream, in order

  private mutating func take(_ count: UInt64) throws(MigrationError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(count))
    try take(count) { bytes += $1 }
    return bytes
  }

  private mutating func take(
    _ count: UInt64, _ body: (inout SealedOutput, [UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    var left = count
    while left > 0, let (next, size) = advance(min(left, UInt64(PieceList.windowSize))) {
      try body(&output, pieces.bytes(of: next))
      left -= size
    }
  }

  /// Copies the bytes that wait for it.
  private mutating func copyWaiting() throws(MigrationError) {
    let count = waiting
    waiting = 0
    try take(count) { (output, bytes) throws(MigrationError) in try output.write(bytes) }
  }

  private mutating func advance(_ most: UInt64) -> (PieceList.Piece, UInt64)? {
    while piece < pieces.pieces.count, consumed == pieces.pieces[piece].count {
      (piece, consumed) = (piece + 1, 0)
    }
    guard piece < pieces.pieces.count else { return nil }
    let rest = consumed == 0 ? pieces.pieces[piece] : pieces.pieces[piece].back(from: consumed)
    let size = min(most, rest.count)
    consumed += size
    return (size == rest.count ? rest : rest.front(size), size)
  }

  // MARK: Parts

  private mutating func rewrite(_ named: NamedPart) throws(MigrationError) {
    let part = named.part
    let late = edits[PartKey(named)] ?? []
    switch part.kind {
    case .ramPart, .ramStart, .ramEnd, .pagesEnd, .epochsEnd, .file, .configuration, .eof, .offer,
      .instance, .optional:
      if late.isEmpty {
        waiting += part.size
      } else {
        try pass(named, late)
      }
    case .session, .page, .token, .commit, .description, .seal:
      try copyWaiting()
      try emit(named, take(part.size), late)
    case .final where rogue != nil:
      // Its body is made anew.
      try copyWaiting()
      let header = try take(part.body - part.start)
      try take(part.bodySize) { _, _ in }
      try emit(named, header + take(Anatomy.Part.footerSize), late)
    case .final, .map, .machine, .device, .pagesStart, .epochsStart: try pass(named, late)
    }
  }

  /// Writes a part of whose body nothing is computed again, which may be large.
  private mutating func pass(_ named: NamedPart, _ late: [LateEdit]) throws(MigrationError) {
    try copyWaiting()
    let part = named.part
    let late = late.filter { $0.isAfterTags }
    let body = Int(part.body - part.start)
    // What the transcript has of a final record comes at once.
    let fixed = if case .final = part.kind { FinalRecord.Layout.size } else { 0 }
    let footer = part.kind.isSection ? Int(Anatomy.Part.footerSize) : 0
    var bytes = try take(UInt64(body + fixed))
    var id: UInt32?
    if part.kind.isSection, !part.kind.hasShortHeader { id = newID(of: bytes) }
    if let id { bytes[\StreamGrammar.PartHeader.id].value = id }
    apply(late, to: &bytes, at: 0)
    try transcribe(part.kind, bytes, body)
    description.note(named, bodySize: part.bodySize, bytes)
    try output.write(bytes)
    var place = body + fixed
    let end = Int(part.size) - footer
    while place < end {
      bytes = try take(UInt64(min(end - place, PieceList.windowSize)))
      apply(late, to: &bytes, at: place)
      try output.write(bytes)
      place += bytes.count
    }
    bytes = try take(UInt64(footer))
    if let id { bytes[\StreamGrammar.Footer.id].value = id }
    apply(late, to: &bytes, at: place)
    try output.write(bytes)
  }

  /// Writes a part of which something is computed again.
  private mutating func emit(
    _ named: NamedPart, _ bytes: [UInt8], _ late: [LateEdit]
  ) throws(MigrationError) {
    var bytes = bytes
    let part = named.part
    if part.kind.isSection, !part.kind.hasShortHeader, let id = newID(of: bytes) {
      bytes[\StreamGrammar.PartHeader.id].value = id
      bytes[\StreamGrammar.Footer.id, at: bytes.count - StreamGrammar.Footer.size].value = id
    }
    let body = Int(part.body - part.start)
    switch part.kind {
    case .session: try mendSession(&bytes, body)
    case .page: try mendPage(&bytes, named, late)
    case .token: try mendToken(&bytes, body, late)
    case .final: try mendFinal(&bytes, named, late)
    case .commit: try mendCommit(&bytes, body, late)
    case .description: bytes = try description.text(bytes)
    case .seal: try mendSeal(&bytes)
    default: break
    }
    for edit in late where edit.isAfterTags {
      if case .part(let range) = edit.area { try apply(edit, to: &bytes, range) }
    }
    try transcribe(part.kind, bytes, body)
    let footer = part.kind.isSection ? Int(Anatomy.Part.footerSize) : 0
    description.note(named, bodySize: UInt64(bytes.count - body - footer), bytes)
    try output.write(bytes)
  }

  /// Makes edits of a part as far as they lie in `window`, the bytes from `start` on.
  private mutating func apply(_ edits: [LateEdit], to window: inout [UInt8], at start: Int) {
    for edit in edits {
      guard case .part(let range) = edit.area else { continue }
      let isChange = edit.apply(to: &window, at: start, range)
      isEdited = isEdited || isChange
    }
  }

  mutating func apply(
    _ edit: LateEdit, to target: inout [UInt8], _ range: Range<Int>
  ) throws(MigrationError) {
    let isChange = try edit.apply(to: &target, range)
    isEdited = isEdited || isChange
  }

  /// An id for a section whose own was used before; nil when it was not.
  private mutating func newID(of header: [UInt8]) -> UInt32? {
    if ids.insert(header[\StreamGrammar.PartHeader.id].value).inserted { return nil }
    defer { nextID += 1 }
    return nextID
  }

  /// Adds a part to the transcript, if it belongs there.
  private mutating func transcribe(
    _ kind: Anatomy.Kind, _ bytes: [UInt8], _ body: Int
  ) throws(MigrationError) {
    switch kind {
    case .session:
      try books.begin(with: Array(bytes[body..<bytes.count - Int(Anatomy.Part.footerSize)]))
    case .page: try books.admit(page: Array(bytes[body..<body + PageMetadata.contentOffset]))
    case .token: try books.admit(token: Array(bytes[body..<body + EpochToken.Layout.size]))
    case .final(let kind):
      try books.admit(final: Array(bytes[body..<body + FinalRecord.Layout.size]), kind)
    default: break
    }
  }
}

extension Rewriter {
  /// The VM description record after the seal, with all edits; nil when it is not whole.
  func trailing() throws(MigrationError) -> [UInt8]? {
    guard let part = try scene.inputs[0].anatomy.part(.description) else { return nil }
    let location = Location(space: 0, offset: part.start, size: part.size)
    var list = pieces
    return list.holds(location) ? try list.read(location) : nil
  }
}

/// Consecutive pieces of one space, without a gap.
struct Stretch {
  var space: Int?
  var start: UInt64
  var count: UInt64
  var end: UInt64 { start + count }

  static func all(in list: PieceList) -> [Stretch] {
    var found: [Stretch] = []
    for piece in list.pieces {
      if let last = found.last, last.space == piece.space,
        piece.space == nil || last.end == piece.origin
      {
        found[found.count - 1].count += piece.count
      } else {
        found.append(Stretch(space: piece.space, start: piece.origin, count: piece.count))
      }
    }
    return found
  }
}
