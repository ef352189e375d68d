import Errors
import TestSupport
import Testing
import Tools

/// `svsm-mig-verify --explain`.
@Suite struct ExplainTests {
  private let shop: Workshop

  init() throws { shop = try Workshop() }

  /// A row of `Formats/errors.md` without its backquotes.
  private static let rows: [String: [String]] = {
    let text = (try? Repository.text("Formats/errors.md")) ?? ""
    var rows: [String: [String]] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.filter { $0 != "`" }.split(separator: "|").map {
        $0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
      }
      if let code = cells.first { rows[String(code)] = cells.dropFirst().map { String($0) } }
    }
    return rows
  }()

  @Test(arguments: ErrorCode.allCases)
  func theTextSaysOfEachCodeWhatTheToolSays(code: ErrorCode) throws {
    let (meaning, remedy) = (code.row.meaning.spelled, code.row.remedy.spelled)
    let causes = code.row.causes.map(\.spelled)
    #expect(!meaning.isEmpty && !remedy.isEmpty)
    #expect(!causes.isEmpty && causes.allSatisfy { !$0.isEmpty })
    let row = try #require(Self.rows[code.rawValue])
    #expect(
      row == [
        "\(code.exitStatus)", meaning, causes.joined(separator: "; "), remedy,
      ])
  }

  @Test func aCodeIsExplainedWithoutAStream() throws {
    let text = try shop.must("verify", "--explain page-sequence").text
    #expect(text.hasPrefix("PAGE-SEQUENCE  (exit status 65)\n  means   "))
    #expect(text.contains("\n  causes  - "))
    #expect(text.contains("\n  do      "))
    #expect(text.hasSuffix("\n  rule    Formats/stream.md, section 7, rule 4\n"))
  }

  @Test func anUnknownCodeNamesItsNeighbours() throws {
    let outcome = try shop.run("verify", "--explain SEAL-CHUNKS")
    #expect(outcome.status == 64)
    #expect(outcome.errors.contains("SEAL-CHUNK,"))
    #expect(outcome.output.isEmpty)
  }

  @Test(arguments: [
    "", "--explain SEAL-CHUNK @stream", "--explain SEAL-CHUNK --instance @a",
    "@stream --instance @a --offer @b",
  ])
  func aCallThatMeansNothingIsRefused(call: String) throws {
    #expect(try shop.run("verify", call).status == 64)
  }
}
