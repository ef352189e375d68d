internal import Errors
internal import SEVSNP
internal import Wire

/// Divides the memory of a synthetic guest into private and shared runs, with an exact number of
/// private pages.
struct SyntheticStates {
  private let addresses: GPARangeSet
  private let secretsPage: UInt64?
  private var generator: SeededGenerator
  /// Longest run, in pages; it is limited so that a small guest gets several runs, too.
  private let longest: UInt64
  private var pagesLeft: UInt64
  private var privateLeft: UInt64
  private var states = PageStateMap()

  /// - Parameter privateFraction: 0 to 1.
  init(
    addresses: GPARangeSet, privateFraction: Double, secretsPage: UInt64?,
    generator: SeededGenerator
  ) {
    self.addresses = addresses
    self.generator = generator
    pagesLeft = addresses.pages
    privateLeft = UInt64((privateFraction * Double(pagesLeft)).rounded())
    longest = max(pagesLeft / 32, pagesLeft >= 4096 ? 512 : 1)
    let hasSecrets = secretsPage.map { addresses.contains($0) && $0 % Page.size64 == 0 } ?? false
    self.secretsPage = hasSecrets && privateLeft > 0 ? secretsPage : nil
    if self.secretsPage != nil {
      pagesLeft -= 1
      privateLeft -= 1
    }
  }

  /// - Throws: `MAP-SYNTAX` when there are too many runs.
  mutating func make() throws(MigrationError) -> PageStateMap {
    for range in addresses.ranges {
      guard let secretsPage, range.contains(secretsPage) else {
        try lay(from: range.start, to: range.end)
        continue
      }
      try lay(from: range.start, to: secretsPage)
      try states.join(PageRun(gpa: secretsPage, pages: 1, state: .secrets))
      try lay(from: secretsPage + Page.size64, to: range.end)
    }
    return states
  }

  private mutating func lay(from start: UInt64, to end: UInt64) throws(MigrationError) {
    var gpa = start
    while gpa < end {
      // This is sampling without replacement, so that the number of private pages is exact.
      let isPrivate = generator.next(below: pagesLeft) < privateLeft
      let available = isPrivate ? privateLeft : pagesLeft - privateLeft
      let pages = min((end - gpa) / Page.size64, available, longest, drawLength(at: gpa))
      if isPrivate {
        try layPrivate(gpa, pages)
        privateLeft -= pages
      } else {
        try states.join(PageRun(gpa: gpa, pages: pages, state: .shared))
      }
      pagesLeft -= pages
      gpa += pages * Page.size64
    }
  }

  /// Draws the length of the next run, in pages: a single page, a short or long run, or a run that
  /// ends at a 2 MiB boundary.
  private mutating func drawLength(at gpa: UInt64) -> UInt64 {
    let toBorder = 512 - gpa / Page.size64 % 512
    return switch generator.next(below: 16) {
    case 0..<4: 1
    case 4..<8: 2 + generator.next(below: 15)
    case 8..<11: 16 + generator.next(below: 241)
    case 11..<14: toBorder
    default: toBorder + 512 * generator.next(below: 4)
    }
  }

  private mutating func layPrivate(_ gpa: UInt64, _ pages: UInt64) throws(MigrationError) {
    let isUnaccepted = generator.once(in: 8)
    let state: PageState = isUnaccepted ? .unaccepted : .validated
    let permissions: VMPLPermissions = isUnaccepted ? .none : .guestDefault
    var (gpa, pages) = (gpa, pages)
    if gpa % RMPPageSize.size2M.bytes == 0, pages >= 512, generator.once(in: 2) {
      let large = pages / 512 * 512
      try states.join(
        PageRun(gpa: gpa, pages: large, state: state, size: .size2M, permissions: permissions))
      gpa += large * Page.size64
      pages -= large
    } else if !isUnaccepted, generator.once(in: 6) {
      // The guest's VMPL may only read these pages, or read and execute them.
      let special = min(pages, 1 + generator.next(below: 3))
      let lesser: UInt32 = generator.once(in: 2) ? 0x0f0f_0100 : 0x0f0f_0d00
      try states.join(
        PageRun(
          gpa: gpa, pages: special, state: state,
          permissions: VMPLPermissions(rawValue: lesser)))
      gpa += special * Page.size64
      pages -= special
    }
    if pages > 0 {
      try states.join(PageRun(gpa: gpa, pages: pages, state: state, permissions: permissions))
    }
  }
}
