import Attacks
import Errors
import Foundation
import TestSupport
import Testing

/// `Formats/threats.md` and the catalogue of attacks say the same.
@Suite struct ThreatsTests {
  private static let rows: [[String]] =
    Table.all(in: Documents.lines(of: "threats.md"), first: "row").first?.rows ?? []
  /// Rows that no file can express: number, threat, why.
  private static let inexpressible: [[String]] =
    Table.all(in: Documents.lines(of: "threats.md"), first: "row").dropFirst().first?.rows ?? []

  private static func names(in cell: String) -> [String] {
    cell.matches(of: /`([A-Za-z0-9-]+)`/).map { String($0.1) }
  }

  @Test("Every row from 1 to 42 is there, in order")
  func everyRowIsThere() {
    #expect(Self.rows.map { $0[0] } == (1...42).map(String.init))
    #expect(Self.rows.allSatisfy { $0.count == 6 && !$0[1].isEmpty && !$0[2].isEmpty })
  }

  @Test("A row names the attacks that stand for it, and an attack its rows")
  func rowsAndAttacksNameEachOther() {
    for row in Self.rows {
      let number = Int(row[0]) ?? 0
      let attacks = Attack.all.filter { $0.threats.contains(number) }.map(\.name)
      #expect(Set(Self.names(in: row[3])) == Set(attacks), "row \(number)")
    }
  }

  @Test("A row without an attack says why there is none, and no other does")
  func whatNoFileCanExpressIsSaid() {
    let without = Self.rows.filter { $0[3].isEmpty }.map { Array($0.prefix(2)) }
    #expect(Self.inexpressible.map { Array($0.prefix(2)) } == without)
    #expect(Self.inexpressible.allSatisfy { $0.count == 3 && !$0[2].isEmpty })
  }

  @Test("The codes of a row are those its attacks are refused with")
  func codesAreThoseOfTheAttacks() {
    for row in Self.rows {
      let named = Set(row[4].split(separator: ", ").map(String.init))
      for code in named { #expect(ErrorCode(rawValue: code) != nil, "\(code)") }
      var codes: Set<String> = []
      for attack in Attack.all where attack.threats.contains(Int(row[0]) ?? 0) {
        for expected in [attack.plain, attack.mended].compactMap({ $0 }) {
          codes.formUnion(expected.loaded.compactMap { $0?.rawValue })
        }
      }
      #expect(named == codes, "row \(row[0])")
    }
  }

  @Test("Every test that is named exists")
  func testsExist() throws {
    let folder = FileManager.default.enumerator(atPath: Repository.path("Tests"))
    let paths = (folder?.allObjects as? [String] ?? []).filter { $0.hasSuffix(".swift") }
    let sources = try paths.map { try Repository.text("Tests/\($0)") }
    for row in Self.rows where !row[3].isEmpty {
      let tests = Self.names(in: row[5])
      #expect(tests.count == 1)
      for test in tests {
        #expect(sources.contains { $0.contains("func \(test)(") }, "\(test)")
      }
    }
  }
}
