/// What number comes next, also after one that did not fit.
///
/// Whoever refuses the first wrong number never gets further. An audit goes on: then either the number
/// was wrong and its place right, or records are missing; both are held to be right from there on, so
/// that one fault gives one finding.
struct Expectation<Number: FixedWidthInteger & UnsignedInteger> {
  /// What is due by the place.
  private(set) var due: Number
  /// What would be due as well, after a fault.
  private(set) var alternative: Number?

  init(_ first: Number) { due = first }

  func accepts(_ number: Number) -> Bool { number == due || number == alternative }

  /// Takes the next number, whatever it is.
  mutating func take(_ number: Number) {
    if accepts(number) {
      (due, alternative) = (number &+ 1, nil)
    } else {
      (due, alternative) = (due &+ 1, number &+ 1)
    }
  }

  /// Takes it that `number` may be due as well.
  mutating func allow(_ number: Number) {
    if number != due { alternative = number }
  }
}
