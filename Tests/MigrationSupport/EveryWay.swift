package import SEVSNP

/// Three moments of a guest in which every page takes another way through the page states: three
/// states in each of three epochs, and for each way a content that stays, one that changes and one
/// that becomes zero.
package let everyWay: [[(state: PageState, byte: UInt8)]] = {
  let states: [PageState] = [.shared, .validated, .unaccepted]
  return (0..<3).map { epoch in
    (0..<81).map { page in
      let state = states[[page / 9 % 3, page / 3 % 3, page % 3][epoch]]
      let byte: Int
      switch page / 27 {
      case 0: byte = 1 + page
      case 1: byte = 1 + page + 90 * epoch
      default: byte = epoch == 2 ? 0 : 1 + page
      }
      return (state, state == .unaccepted ? 0 : UInt8(truncatingIfNeeded: byte))
    }
  }
}()
