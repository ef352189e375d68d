import SEVSNP
import TestSupport
import Testing

/// `Formats/policy.md`, `Formats/amd-structures.md` and the code say the same.
@Suite struct PolicyTests {
  private static let rows =
    Table.all(in: Documents.lines(of: "policy.md"), first: "key").first?.rows ?? []

  private static func key(_ row: [String]) -> String { row[0].filter { $0 != "`" } }

  @Test("The table has every key that is read, and no other")
  func theTableHasEveryKey() {
    let keys = Self.rows.map(Self.key)
    #expect(
      keys.filter { !$0.contains(".") } == AttestationPolicy.Key.allCases.map(\.rawValue))
    #expect(
      keys.filter { $0.contains(".") } == ["platformInfo.required", "platformInfo.forbidden"])
  }

  @Test("A demand names its check, which has the code the table of checks gives it")
  func aDemandNamesItsCheck() throws {
    let checks = try #require(
      Table.all(in: Documents.lines(of: "amd-structures.md"), first: "check").first)
    let names = checks.rows.flatMap { $0[0].split(separator: ", ").map(String.init) }
    #expect(names == AttestationCheck.Name.allCases.map(\.rawValue))
    for row in Self.rows where !row[3].isEmpty {
      let check = try #require(checks.rows.first { $0[0] == row[3] }, "\(row[0])")
      #expect(check[2] == row[4], "\(row[0])")
    }
    #expect(
      Self.rows.filter { $0[3].isEmpty }.map(Self.key) == [
        "schema", "platformInfo.required", "platformInfo.forbidden",
      ])
  }

  @Test("The example of the text is the file it names")
  func theExampleIsAFile() throws {
    let text = Documents.lines(of: "policy.md").joined(separator: "\n")
    #expect(text.contains("```json\n\(try Fixture.text("policies/model.json"))```\n"))
  }
}
