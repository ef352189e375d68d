import Attacks
import Errors
import Foundation
import TestSupport
import Testing

/// `Formats/vectors.md`, the vectors of `Fixtures/vectors` and the error codes say the same.
@Suite struct VectorTests {
  /// Every vector there is.
  private let vectors: [Vector]

  init() throws {
    vectors = try FileManager.default.contentsOfDirectory(atPath: Fixture.path("vectors"))
      .filter { $0.hasSuffix(".vector") }
      .map { try Vector(parsing: Fixture.text("vectors/\($0)"), fileName: String($0.dropLast(7))) }
  }

  @Test(
    "There are at least 200 ways of being wrong, most of them of streams, and some of being right")
  func thereAreEnough() {
    let refused = vectors.filter { $0.verdict != .accepted }
    #expect(refused.count >= 200)
    #expect(refused.filter { $0.subject == .stream }.count >= 150)
    #expect(vectors.count - refused.count >= 12)
    #expect(Set(vectors.map(\.subject)) == Set(Vector.Subject.allCases))
  }

  @Test("Every error code has a vector", arguments: ErrorCode.allCases)
  func everyCodeHasAVector(code: ErrorCode) {
    #expect(
      vectors.contains {
        if case .refused(code, _, _) = $0.verdict { true } else { false }
      })
  }

  @Test("Every golden stream is made wrong, and is right as it is")
  func everyGoldenStreamIsUsed() throws {
    let goldens = try FileManager.default.contentsOfDirectory(atPath: Fixture.path("golden"))
      .map { "golden/\($0)/stream.mig" }
      .filter { FileManager.default.fileExists(atPath: Fixture.path($0)) }
    #expect(!goldens.isEmpty)
    for golden in goldens {
      let verdicts = vectors.filter { $0.subject == .stream && $0.paths[.input] == [golden] }
        .map { $0.verdict == .accepted }
      #expect(Set(verdicts) == [true, false], "\(golden)")
    }
  }

  @Test("A vector that a test has to show names a test that is there")
  func testsExist() throws {
    let folder = FileManager.default.enumerator(atPath: Repository.path("Tests"))
    let paths = (folder?.allObjects as? [String] ?? []).filter { $0.hasSuffix(".swift") }
    let sources = try paths.map { try Repository.text("Tests/\($0)") }
    let named = vectors.compactMap { $0.words[.test] }
    #expect(!named.isEmpty)
    for test in named {
      #expect(sources.contains { $0.contains("func \(test)(") }, "\(test)")
    }
  }

  @Test("The text lists every key and every subject, and no other")
  func theTextListsKeysAndSubjects() {
    let lines = Documents.lines(of: "vectors.md")
    func names(_ first: String) -> [String] {
      Table.all(in: lines, first: first).flatMap(\.rows).map {
        $0[0].trimmingCharacters(in: CharacterSet(charactersIn: "`"))
      }
    }
    #expect(names("key").sorted() == Vector.Key.allCases.map(\.rawValue).sorted())
    #expect(names("subject") == Vector.Subject.allCases.map(\.rawValue))
  }

  @Test("The example of the text is the vector of that name")
  func theExampleIsAVector() throws {
    let text = Documents.lines(of: "vectors.md").joined(separator: "\n")
    #expect(text.contains("```\n\(try Fixture.text("vectors/page-tag-one-bit.vector"))```\n"))
  }

  @Test("A reader without keys misses only what stream.md says that it cannot know")
  func keylessReadersMissWhatTheTableSays() {
    let rows = Table.all(in: Documents.lines(of: "stream.md"), first: "rule").flatMap(\.rows)
    #expect(rows.count > 30 && rows.allSatisfy { $0.count == 5 && $0[3] == "yes" })
    let hidden = Set(rows.filter { $0[2] == "no" }.flatMap { $0[1].components(separatedBy: ", ") })
    for row in rows {
      for code in row[1].components(separatedBy: ", ") where !code.hasSuffix("…") {
        #expect(ErrorCode(rawValue: code) != nil, "\(code)")
      }
    }
    for vector in vectors where vector.subject == .stream {
      guard case .refused(let code, nil, _) = vector.verdict else { continue }
      #expect(hidden.contains(code.rawValue), "\(vector.name)")
    }
  }
}
