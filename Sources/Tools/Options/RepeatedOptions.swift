internal import ArgumentParser
internal import Errors
internal import JSON

/// Refuses a command line that gives an option with one value twice. ArgumentParser would use the
/// last value and silently ignore the others.
///
/// A repeated flag is allowed, since the repetition does not change its meaning.
enum RepeatedOptions {
  /// - Parameter arguments: the arguments of the call, which `command` has parsed.
  /// - Throws: `ValidationError`.
  static func refuse(_ arguments: [String], of command: any ParsableCommand.Type) throws {
    let given = arguments.prefix { $0 != "--" }.filter { $0.hasPrefix("-") }
      .map { String($0.prefix { $0 != "=" }) }
    guard mayRepeat(given) else { return }
    for names in try singleValued(of: command) {
      let found = given.filter(names.contains)
      if found.count > 1 {
        let each = found[0] == found[1] ? found[0] : "\(found[0]) and \(found[1])"
        throw ValidationError("\(each): give this option only once.")
      }
    }
  }

  /// A quick test: false when no name occurs twice, and no one-letter option occurs beside an
  /// argument that begins with its letter. The options of the command need not be examined then.
  private static func mayRepeat(_ given: [String]) -> Bool {
    let isShort = { (name: String) in !name.hasPrefix("--") }
    return Set(given).count < given.count
      || given.contains { short in
        isShort(short) && given.contains { $0.hasPrefix("-\(short)") }
      }
  }

  /// The names of each option of `command` that takes one value and may not be repeated, from
  /// ArgumentParser's own description of the command.
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
