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

  init(
    _ pieces: PieceList, _ scene: Scene, repair: Repair, rogue: RogueSource?,
    edits: [PartKey: [LateEdit]], to output: any ByteOutput
  ) throws(MigrationError) {
    // What can fail comes first, because a noncopyable value must not be left half initialized.
    let hostKey = try HostKey(seed: scene.seed)
    let description = try DescriptionMender(scene)
    self.pieces = pieces
    self.scene = scene
    self.repair = repair
    self.rogue = rogue
    self.edits = edits
    self.hostKey = hostKey
    self.description = description
    self.output = SealedOutput(output)
    books = RewriterBooks(lastToken: Self.tokens(pieces, scene))
  }

  /// Number of tokens that will be written. The last one must state that it is the last.
  private static func tokens(_ pieces: PieceList, _ scene: Scene) -> Int {
    var count = 0
    walk(pieces, scene) { if $0.part.kind == .token { count += 1 } }
    return count
  }

  private static func walk(
    _ pieces: PieceList, _ scene: Scene, _ take: (NamedPart) -> Void
  ) {
    for stretch in Stretch.all(in: pieces) {
      guard let space = stretch.space else { continue }
      let anatomy = scene.inputs[scene.spaces[space]].anatomy
      // Pages are not examined: a run of them is skipped at once.
      for part in anatomy.parts
      where part.kind != .page && part.start >= stretch.start && part.end <= stretch.end {
        take(NamedPart(space: space, part: part))
      }
    }
  }

  /// Writes the whole stream.
  mutating func run() throws(MigrationError) {
    for stretch in Stretch.all(in: pieces) {
      guard let space = stretch.space else {
        try copy(stretch.count)
        continue
      }
      let anatomy = scene.inputs[scene.spaces[space]].anatomy
      var next = stretch.start
      while next < stretch.end {
        guard let part = anatomy.part(at: next), part.end > next else {
          try copy(stretch.end - next)
          break
        }
        if part.start == next, part.end <= stretch.end {
          try rewrite(NamedPart(space: space, part: part))
          next = part.end
        } else {
          let end = min(part.end, stretch.end)
          try copy(end - next)
          next = end
        }
      }
    }
  }

  // MARK: Bytes of the edited stream, in order

  private mutating func take(_ count: UInt64) throws(MigrationError) -> [UInt8] {
    var bytes: [UInt8] = []
    var left = count
    while left > 0, let (next, size) = advance(left) {
      bytes += try pieces.bytes(of: next)
      left -= size
    }
    return bytes
  }

  private mutating func copy(_ count: UInt64) throws(MigrationError) {
    var left = count
    while left > 0, let (next, size) = advance(min(left, 256 << 10)) {
      try output.write(pieces.bytes(of: next))
      left -= size
    }
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
    switch part.kind {
    case .ramPart, .ramStart, .ramEnd, .pagesEnd, .epochsEnd, .file, .configuration, .eof, .offer,
      .instance, .optional:
      if edits[PartKey(named)] == nil { return try copy(part.size) }
      try emit(named, take(part.size))
    default:
      try emit(named, take(part.size))
    }
  }

  private mutating func emit(_ named: NamedPart, _ bytes: [UInt8]) throws(MigrationError) {
    var bytes = bytes
    let part = named.part
    let late = edits[PartKey(named)] ?? []
    if part.kind.isSection, !part.kind.hasShortHeader { try mendID(&bytes, part) }
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
    description.note(named, bodySize: bytes.count - body - footer, bytes)
    try output.write(bytes)
  }

  mutating func apply(
    _ edit: LateEdit, to target: inout [UInt8], _ range: Range<Int>
  ) throws(MigrationError) {
    let isChange = try edit.apply(to: &target, range)
    isEdited = isEdited || isChange
  }

  /// Gives a section that comes a second time an id of its own.
  private mutating func mendID(
    _ bytes: inout [UInt8], _ part: Anatomy.Part
  ) throws(MigrationError) {
    if ids.insert(bytes[\StreamGrammar.PartHeader.id].value).inserted { return }
    bytes[\StreamGrammar.PartHeader.id].value = nextID
    bytes[\StreamGrammar.Footer.id, at: bytes.count - StreamGrammar.Footer.size].value = nextID
    nextID += 1
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
  func trailing() -> [UInt8]? {
    guard let part = scene.inputs[0].anatomy.part(.description) else { return nil }
    var list = pieces
    return try? list.read(Location(space: 0, offset: part.start, size: part.end - part.start))
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
