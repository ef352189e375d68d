internal import Errors
internal import SEVSNP
internal import Wire

/// Pages that a synthetic guest has shared, freed or accepted since round 0. The state of a page
/// depends on the seed, its address and the last round in which it was converted.
struct SyntheticConversions {
  private let seed: GuestSeed
  private let round: UInt64
  /// A page is converted in a round when the upper 32 bits of its number for the round are below
  /// this.
  private let limit: UInt64

  init(_ options: SyntheticGuest) {
    seed = options.seedRoot
    round = UInt64(options.round)
    // The comparison uses 32 bits, so that the limit for a fraction of 1 fits 64 bits.
    limit = UInt64(options.convertedFraction * 4_294_967_296)
  }

  /// The page states in the present round. The secrets page is never converted; a page of 2 MiB of
  /// which a part is converted is split into pages of 4 KiB.
  /// - Parameter states: the page states of round 0.
  /// - Throws: `MAP-SYNTAX` when there are too many runs.
  func apply(to states: PageStateMap) throws(MigrationError) -> PageStateMap {
    guard round > 0, limit > 0 else { return states }
    var converted = PageStateMap()
    for run in states.runs {
      if run.state == .secrets {
        try converted.join(run)
        continue
      }
      for gpa in stride(from: run.gpa, to: run.end, by: Int(run.size.bytes)) {
        let pages = stride(from: gpa, to: gpa + run.size.bytes, by: Page.size)
        let isWhole = pages.allSatisfy { state(of: $0) == nil }
        var piece = run
        (piece.gpa, piece.pages) = (gpa, run.size.bytes / Page.size64)
        if isWhole {
          try converted.join(piece)
          continue
        }
        for page in pages {
          var piece = PageRun(gpa: page, pages: 1, state: run.state, permissions: run.permissions)
          if let state = state(of: page) {
            piece.state = state
            piece.permissions = state == .validated ? .guestDefault : .none
          }
          try converted.join(piece)
        }
      }
    }
    return converted
  }

  /// The state to which a page was last converted; nil when it never was.
  private func state(of gpa: UInt64) -> PageState? {
    var last = round
    while last > 0 {
      let number = seed.number(.conversion, gpa / Page.size64, last)
      if number >> 32 < limit {
        return switch number & 15 {
        case 0..<7: .shared
        case 7..<13: .validated
        default: .unaccepted
        }
      }
      last -= 1
    }
    return nil
  }
}
