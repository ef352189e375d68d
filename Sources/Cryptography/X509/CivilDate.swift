/// The proleptic Gregorian calendar, for dates of certificates.
package enum CivilDate {
  /// Days from 1970-01-01 to a date. `month` and `day` count from 1, and the year has four digits.
  package static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    // Years are counted from March, so that the leap day comes last.
    let shifted = month > 2 ? year : year - 1
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  /// `YYYY-MM-DDTHH:MM:SSZ` of seconds since 1970.
  package static func text(_ seconds: Int64) -> String {
    // Rounded down without leaving the range of the type, whatever `seconds` is.
    let rest = (seconds % 86_400 + 86_400) % 86_400
    let day = seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0)
    let shifted = day + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch + (monthFromMarch < 10 ? 3 : -9)
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func two(_ value: Int64) -> String { (value < 10 ? "0" : "") + "\(value)" }
    return "\(year)-\(two(month))-\(two(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1))"
      + "T\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))Z"
  }
}
