import Foundation
import TestSupport

/// The normative texts of this repository.
enum Documents {
  /// Name and lines of each text in `Formats`.
  static let texts: [(name: String, lines: [String])] = {
    let folder = Repository.path("Formats")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasSuffix(".md") }.sorted().map { name in
      (name, read("Formats/\(name)").components(separatedBy: "\n"))
    }
  }()

  static func lines(of name: String) -> [String] {
    texts.first { $0.name == name }?.lines ?? []
  }

  /// All Swift files below `Sources`.
  static let sources: [String] = {
    let folder = FileManager.default.enumerator(atPath: Repository.path("Sources"))
    let paths = folder?.allObjects as? [String] ?? []
    return paths.filter { $0.hasSuffix(".swift") }.map { read("Sources/\($0)") }
  }()

  private static func read(_ name: String) -> String { (try? Repository.text(name)) ?? "" }
}

/// A Markdown table.
struct Table: Equatable {
  var header: [String]
  var rows: [[String]]

  /// The table that begins at or behind `start`, with only empty lines between.
  init?(in lines: [String], from start: Int) {
    guard let first = lines[start...].firstIndex(where: { !$0.isEmpty }) else { return nil }
    let table = lines[first...].prefix { $0.hasPrefix("|") }.map(Self.cells)
    guard table.count >= 2, table[1].allSatisfy({ $0.allSatisfy { $0 == "-" } }) else { return nil }
    header = table[0]
    rows = Array(table.dropFirst(2))
  }

  /// Every table of a text whose first header cell is `first`.
  static func all(in lines: [String], first: String) -> [Table] {
    lines.indices.compactMap { index in
      guard lines[index].hasPrefix("| \(first) |") else { return nil }
      return Table(in: lines, from: index)
    }
  }

  private static func cells(_ line: String) -> [String] {
    line.dropFirst().split(separator: "|", omittingEmptySubsequences: false).dropLast().map {
      $0.trimmingCharacters(in: .whitespaces)
    }
  }
}

/// What stands between two Markdown fences behind a marker line.
func example(_ name: String) -> String? {
  let lines = Documents.lines(of: "stream.md")
  guard let marker = lines.firstIndex(of: "<!-- example: \(name) -->"),
    let open = lines[marker...].firstIndex(where: { $0.hasPrefix("```") }),
    let close = lines[(open + 1)...].firstIndex(where: { $0.hasPrefix("```") })
  else { return nil }
  return lines[(open + 1)..<close].joined(separator: "\n")
}
