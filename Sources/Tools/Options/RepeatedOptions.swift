internal import ArgumentParser
internal import Errors
internal import JSON

/// Refuses a call that gives an option of one value twice. ArgumentParser takes the last value, and the
/// others would not be heard.
///
/// A flag that is repeated says nothing else than before.
enum RepeatedOptions {
  /// - Parameters:
  ///   - arguments: of the call, which `command` has taken.
  /// - Throws: `ValidationError`.
  static func refuse(_ arguments: [String], of command: any ParsableCommand.Type) throws {
    let given = arguments.prefix { $0 != "--" }.filter { $0.hasPrefix("-") }
      .map { String($0.prefix { $0 != "=" }) }
    guard mayRepeat(given) else { return }
    for names in try singleValued(of: command) {
      let found = given.filter(names.contains)
      if found.count > 1 {
        let each = found[0] == found[1] ? found[0] : "\(found[0]) and \(found[1])"
        throw ValidationError("\(each): the option comes twice, and takes one value.")
      }
    }
  }

  /// False where no name comes twice, nor one of a letter beside one that begins with it: what the
  /// names mean need not be asked then.
  private static func mayRepeat(_ given: [String]) -> Bool {
    let isShort = { (name: String) in !name.hasPrefix("--") }
    return Set(given).count < given.count
      || given.contains { short in
        isShort(short) && given.contains { $0.hasPrefix("-\(short)") }
      }
  }

  /// The names of each option of `command` that takes one value and may not be repeated, after
  /// ArgumentParser's own description of it.
  private static func singleValued(
    of command: any ParsableCommand.Type
  ) throws(MigrationError) -> [[String]] {
    let described = try JSON(parsing: Array(command._dumpHelp().utf8))["command"]
    return (described?["arguments"]?.array ?? []).compactMap { argument in
      guard argument["kind"]?.string == "option", argument["isRepeating"]?.bool == false else {
        return nil
      }
      return (argument["names"]?.array ?? []).compactMap { name in
        name["name"]?.string.map { (name["kind"]?.string == "long" ? "--" : "-") + $0 }
      }
    }
  }
}
