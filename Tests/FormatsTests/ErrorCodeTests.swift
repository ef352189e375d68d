import Errors
import Foundation
import Testing

@Suite struct ErrorCodeTests {
  private static let rows: [[String]] =
    Table.all(in: Documents.lines(of: "errors.md"), first: "code").flatMap(\.rows)

  @Test func everyCodeHasOneRowInTheTablesOfTheAreas() {
    #expect(
      CodeRow.all.map(\.code.rawValue).sorted() == ErrorCode.allCases.map(\.rawValue).sorted())
  }

  @Test(arguments: ErrorCode.allCases)
  func everyCodeHasOneRowWithItsExitStatus(code: ErrorCode) throws {
    let rows = Self.rows.filter { $0.first == "`\(code.rawValue)`" }
    #expect(rows.count == 1)
    let row = try #require(rows.first)
    #expect(row.count == 5)
    #expect(row[1] == "\(code.exitStatus)")
    #expect(row.dropFirst(2).allSatisfy { !$0.isEmpty }, "a cell is empty")
  }

  @Test func noRowNamesACodeThereIsNot() {
    for row in Self.rows {
      let code = row[0].trimmingCharacters(in: CharacterSet(charactersIn: "`"))
      #expect(ErrorCode(rawValue: code) != nil, "\(row[0])")
    }
  }

  @Test func everyCodeATextMentionsExists() {
    // What looks like a code: an area's name, a hyphen, more capitals.
    let areas = Set(ErrorCode.allCases.map { $0.rawValue.prefix { $0 != "-" } })
    for text in Documents.texts {
      for line in text.lines {
        for match in line.matches(of: /\b([A-Z]+)-[A-Z]+(-[A-Z]+)*\b/)
        where areas.contains(match.1) && ErrorCode(rawValue: String(match.0)) == nil {
          Issue.record("\(text.name) mentions \(match.0), which is no code")
        }
      }
    }
  }

  @Test func linksBetweenTheTextsLead() {
    let names = Set(Documents.texts.map(\.name))
    for text in Documents.texts {
      for line in text.lines {
        for match in line.matches(of: /\]\(([a-z-]+\.md)/) where !names.contains(String(match.1)) {
          Issue.record("\(text.name) links to \(match.1)")
        }
      }
    }
  }
}
