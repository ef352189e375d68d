internal import Errors
internal import SEVSNP
internal import Wire

/// The memory of a synthetic guest. The content of a page depends only on the seed, its address and
/// the last round in which it changed.
struct SyntheticPages {
  private static let wordsPerPage = 512
  /// Number of pages that are filled before they are written: 1 MiB.
  private static let pagesPerChunk = 256

  private let seed: GuestSeed
  private let guest: GuestDescription
  private let round: UInt64
  /// A page changes in a round when the upper 32 bits of its number for the round are below this.
  private let changeLimit: UInt64

  init(_ options: SyntheticGuest, _ guest: GuestDescription) {
    seed = options.seedRoot
    self.guest = guest
    round = UInt64(options.round)
    // In 32 bits, so that a fraction of 1 has a limit that fits.
    changeLimit = UInt64(options.changedFraction * 4_294_967_296)
  }

  /// Writes all pages that are not zero.
  func write(
    to output: some GuestMemoryOutput, progress: (UInt64) -> Void
  ) throws(MigrationError) {
    var words = [UInt64](repeating: 0, count: Self.pagesPerChunk * Self.wordsPerPage)
    var done: UInt64 = 0
    for range in guest.map.ranges {
      for gpa in stride(from: range.gpa, to: range.end, by: Self.pagesPerChunk * Page.size) {
        let pages = min(Self.pagesPerChunk, Int((range.end - gpa) / Page.size64))
        try write(
          &words, pages, gpa, block: range.block, offset: range.offset + (gpa - range.gpa), output)
        done += UInt64(pages) * Page.size64
        progress(done)
      }
    }
  }

  /// Fills and writes one chunk of `pages` pages at `gpa`. Adjacent pages that are not zero are
  /// written together.
  private func write(
    _ words: inout [UInt64], _ pages: Int, _ gpa: UInt64, block: Int, offset: UInt64,
    _ output: some GuestMemoryOutput
  ) throws(MigrationError) {
    var run = PageRun(gpa: gpa, pages: 0, state: .shared)
    var firstUnwritten = 0
    for page in 0...pages {
      let address = gpa + UInt64(page) * Page.size64
      if page < pages {
        if address >= run.end { run = guest.pageStates.run(at: address) ?? run }
        if try fill(&words, page, address, run.state) { continue }
      }
      if firstUnwritten < page {
        let filled = words.span.extracting(
          firstUnwritten * Self.wordsPerPage..<page * Self.wordsPerPage)
        let place = offset + UInt64(firstUnwritten) * Page.size64
        // The words are stored in little-endian order, so their bytes in memory are the content of
        // the pages.
        try unsafe filled.withUnsafeBytes { (bytes) throws(MigrationError) in
          try unsafe output.write(block: block, at: place, bytes)
        }
      }
      firstUnwritten = page + 1
    }
  }

  /// Fills a page of the chunk.
  /// - Returns: false when the page is all zero; the chunk is then unchanged.
  private func fill(
    _ words: inout [UInt64], _ page: Int, _ gpa: UInt64, _ state: PageState
  ) throws(MigrationError) -> Bool {
    let start = page * Self.wordsPerPage
    switch state {
    case .unaccepted:
      return false
    case .secrets:
      try fillSecrets(&words, start, gpa)
      return true
    case .shared, .validated:
      var numbers = seed.generator(.page, gpa / Page.size64, lastChange(of: gpa))
      return Self.fill(&words, start, &numbers)
    }
  }

  private static func fill(
    _ words: inout [UInt64], _ start: Int, _ numbers: inout SeededGenerator
  ) -> Bool {
    let indices = start..<start + wordsPerPage
    switch numbers.next(below: 16) {
    case 0..<4:
      return false
    case 4..<6:  // one value all over
      let word = (numbers.next() | 1).littleEndian
      for index in indices { words[index] = word }
    case 6..<8:  // numbers that count up
      let first = numbers.next()
      for index in indices { words[index] = (first &+ UInt64(index - start)).littleEndian }
    case 8..<10:  // text
      var picks: UInt64 = 0
      for index in indices {
        if index % 16 == 0 { picks = numbers.next() }
        words[index] = text[Int(picks & 15)]
        picks >>= 4
      }
    case 10..<12:  // pointers into a kernel's direct map, half of them null
      for index in indices {
        let number = numbers.next()
        let pointer = 0xffff_8880_0000_0000 | number & 0x3_ffff_fff8
        words[index] = number >> 63 == 0 ? 0 : pointer.littleEndian
      }
      words[start] = UInt64(0xffff_8880_0000_0000).littleEndian
    default:  // noise
      for index in indices { words[index] = numbers.next().littleEndian }
    }
    return true
  }

  /// Sixteen texts of eight characters, each as one word.
  private static let text: [UInt64] = [
    "kernel: ", "systemd ", "started ", "service\n", "memory  ", "encrypt ", "network ", "device: ",
    "address ", "session ", "user    ", "failed: ", "timeout\n", "loading ", "module  ", "[  OK  ]",
  ].map { word in
    word.utf8.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }.littleEndian
  }

  /// Fills the secrets page as the guest of an SVSM sees it: the keys of more privileged VMPLs are
  /// wiped.
  private func fillSecrets(
    _ words: inout [UInt64], _ start: Int, _ gpa: UInt64
  ) throws(MigrationError) {
    var numbers = seed.generator(.secrets)
    var facts = SecretsPageFacts()
    // At 512 GiB or, if the guest's memory reaches that far, above it.
    let end = guest.map.ranges.last?.end ?? 0
    facts.svsmBase = max(0x80_0000_0000, ((end + (1 << 30) - 1) >> 30) << 30)
    facts.svsmSize = 16 << 20
    facts.svsmCallingArea = gpa + 0x2000
    facts.svsmMaxVersion = 1
    facts.guestVMPL = 2
    let wiped = [UInt8](repeating: 0, count: 32)
    let page = try SecretsPage(
      fms: CPUIdentity(family: 0x19, model: 0x01, stepping: 1).leaf1,
      gosvw: [UInt8](repeating: 0, count: 16),
      vmpcks: [wiped, wiped, numbers.bytes(32), numbers.bytes(32)], facts: facts
    ).bytes
    for index in 0..<Self.wordsPerPage {
      let word = page[index * 8..<index * 8 + 8].reversed().reduce(UInt64(0)) {
        $0 << 8 | UInt64($1)
      }
      words[start + index] = word.littleEndian
    }
  }

  /// The last round, up to the present one, in which the page changed; 0 when it never did.
  private func lastChange(of gpa: UInt64) -> UInt64 {
    var last = round
    while last > 0, seed.number(.dirty, gpa / Page.size64, last) >> 32 >= changeLimit { last -= 1 }
    return last
  }
}
