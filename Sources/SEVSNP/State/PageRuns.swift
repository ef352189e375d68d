internal import Wire

/// Runs of pages in ascending order, packed: a guest may have millions of them.
///
/// A run is three numbers of variable length: the pages between the run before it and this one, its own
/// pages, and its facts. Together they take 3 bytes as a rule, and 10 where a map is made to cost much. The
/// first run of each group of 32 is found by its address. The bytes are in pieces, since one array would be
/// copied while it grows. The last run is kept as it is, because it may still become longer.
package struct PageRuns: Sequence, Sendable, Hashable {
  /// Runs in a group.
  private static let groupSize = 32
  /// Bytes of a piece at most.
  private static let pieceSize = 64 << 10
  /// Bytes of a run at most: two numbers of 40 bits, and facts of 23.
  private static let maximumRunSize = 6 + 6 + 4

  /// Where a group begins.
  private struct Group: Hashable {
    /// Number of the page after the run before the group.
    var start: UInt64
    var piece: Int
    var offset: Int
  }

  /// Number of runs.
  package private(set) var count = 0
  package private(set) var last: PageRun?
  private var pieces: [[UInt8]] = []
  private var groups: [Group] = []
  /// Number of the page after the last run that is packed.
  private var packedEnd: UInt64 = 0

  package var isEmpty: Bool { count == 0 }

  /// Appends a run that is well formed and begins at or after the end of the last.
  mutating func append(_ run: PageRun) {
    if let last { pack(last) }
    last = run
    count += 1
  }

  /// Makes the last run longer.
  mutating func extendLast(by pages: UInt64) { last?.pages += pages }

  /// Packs the run that was the last until now.
  private mutating func pack(_ run: PageRun) {
    if (pieces.last?.count ?? Self.pieceSize) > Self.pieceSize - Self.maximumRunSize {
      pieces.append([])
    }
    let piece = pieces.count - 1
    if (count - 1) % Self.groupSize == 0 {
      groups.append(Group(start: packedEnd, piece: piece, offset: pieces[piece].count))
    }
    let first = run.gpa / Page.size64
    pieces[piece].append(packed: first - packedEnd)
    pieces[piece].append(packed: run.pages - 1)
    pieces[piece].append(packed: run.facts)
    packedEnd = first + run.pages
  }

  package func makeIterator() -> Iterator { Iterator(self, from: 0) }

  /// The runs from one that is at or before `gpa` on. At most a group of runs ends before it.
  func iterator(near gpa: UInt64) -> Iterator {
    var (low, high) = (0, groups.count)
    while low < high {
      let middle = (low + high) / 2
      if groups[middle].start <= gpa / Page.size64 { low = middle + 1 } else { high = middle }
    }
    return Iterator(self, from: Swift.max(low, 1) - 1)
  }

  package struct Iterator: IteratorProtocol {
    private let runs: PageRuns
    /// Number of runs to come.
    private var left: Int
    private var piece = 0
    private var offset = 0
    private var bytes: [UInt8] = []
    /// Number of the page after the run before.
    private var page: UInt64 = 0

    /// - Parameter group: index of the group that comes first.
    fileprivate init(_ runs: PageRuns, from group: Int) {
      self.runs = runs
      left = runs.count - group * PageRuns.groupSize
      guard group < runs.groups.count else { return }
      (page, piece, offset) = (
        runs.groups[group].start, runs.groups[group].piece, runs.groups[group].offset
      )
      bytes = runs.pieces[piece]
    }

    package mutating func next() -> PageRun? {
      guard left > 0 else { return nil }
      left -= 1
      if left == 0 { return runs.last }
      if offset == bytes.count {
        piece += 1
        (bytes, offset) = (runs.pieces[piece], 0)
      }
      let first = page + number()
      let pages = number() + 1
      page = first + pages
      return PageRun(gpa: first * Page.size64, pages: pages, facts: number())
    }

    private mutating func number() -> UInt64 {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while true {
        let byte = bytes[offset]
        offset += 1
        value |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
    }
  }
}

extension [UInt8] {
  /// Appends a number in groups of seven bits, the lowest first.
  fileprivate mutating func append(packed number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }
}

extension PageRun {
  /// State, size and permissions in 23 bits. What nearly all runs have is a small number.
  fileprivate var facts: UInt64 {
    let bits = permissions.rawValue ^ Self.usual(state).rawValue
    return UInt64(state.rawValue - 1) | UInt64(size.rawValue) << 2
      | UInt64(bits & 0x1F | bits >> 3 & 0x3E0 | bits >> 6 & 0x7C00 | bits >> 9 & 0xF_8000) << 3
  }

  fileprivate init(gpa: UInt64, pages: UInt64, facts: UInt64) {
    let state = PageState.allCases[Int(facts & 3)]
    let bits = UInt32(truncatingIfNeeded: facts >> 3)
    let spread =
      bits & 0x1F | (bits & 0x3E0) << 3 | (bits & 0x7C00) << 6 | (bits & 0xF_8000) << 9
    self.init(
      gpa: gpa, pages: pages, state: state, size: facts & 4 == 0 ? .size4K : .size2M,
      permissions: VMPLPermissions(rawValue: spread ^ Self.usual(state).rawValue))
  }

  /// The permissions that a page in a state has as a rule.
  private static func usual(_ state: PageState) -> VMPLPermissions {
    state == .validated ? .guestDefault : .none
  }
}
