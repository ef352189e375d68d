/// Which pages of one region a set has, in eight bytes.
struct RegionPages {
  enum Form {
    /// The pages, by their numbers in the region.
    case few(FewPages)
    /// The index of the bits of the region's pages.
    case many(first: Int)
    /// All pages of the region.
    case all
  }

  /// Set with `many`; the other bits are then the index.
  private static let manyBit: UInt64 = 1 << 63
  /// The word of `all`: an index that no bits have.
  private static let allWord = UInt64.max

  /// No page.
  static let none = RegionPages(.few(FewPages(word: 0)))

  private var word: UInt64

  init(_ form: Form) {
    switch form {
    case .few(let numbers): word = numbers.word
    case .many(let first): word = Self.manyBit | UInt64(first)
    case .all: word = Self.allWord
    }
  }

  /// One page, by its number in the region.
  init(_ number: UInt64) {
    var numbers = FewPages(word: 0)
    numbers.append(number)
    word = numbers.word
  }

  var form: Form {
    if word & Self.manyBit == 0 { return .few(FewPages(word: word)) }
    return word == Self.allWord ? .all : .many(first: Int(word & ~Self.manyBit))
  }

  /// The numbers in a region of those pages of a range that are in it; nil for none.
  static func numbers(of pages: Range<UInt64>, in region: UInt64) -> Range<UInt64>? {
    let start = region * PageSet.regionPages
    let part = pages.clamped(to: start..<start + PageSet.regionPages)
    return part.isEmpty ? nil : part.lowerBound - start..<part.upperBound - start
  }
}

/// A few pages by their numbers in a region, of 9 bits each, in the order in which they came.
struct FewPages: Sequence, IteratorProtocol {
  private static let limit = 6
  private static let numberBits = 9
  private static let countShift = limit * numberBits

  /// The numbers from the lowest bits on, then how many there are.
  fileprivate private(set) var word: UInt64

  fileprivate init(word: UInt64) { self.word = word }

  var count: Int { Int(word >> Self.countShift) }
  var isFull: Bool { count == Self.limit }

  /// Takes out the number that came first.
  mutating func next() -> UInt64? {
    guard count > 0 else { return nil }
    let numbers = word & (1 << Self.countShift - 1)
    let left = UInt64(count - 1) << Self.countShift
    defer { word = numbers >> Self.numberBits | left }
    return numbers & (PageSet.regionPages - 1)
  }

  /// Precondition: there is room.
  mutating func append(_ number: UInt64) {
    word |= number << (count * Self.numberBits)
    word += 1 << Self.countShift
  }

  /// One bit for each of the 64 pages from `64 * word` on.
  func bits(ofWord word: UInt64) -> UInt64 {
    reduce(0) { $1 / 64 == word ? $0 | 1 << ($1 % 64) : $0 }
  }

  /// The pages without those of a range.
  func removing(_ numbers: Range<UInt64>) -> FewPages {
    var kept = FewPages(word: 0)
    for number in self where !numbers.contains(number) { kept.append(number) }
    return kept
  }
}
