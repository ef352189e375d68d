import Foundation
import TestSupport
import Testing

/// The picture in `Formats/architecture.md` shows the modules as they are.
@Suite struct ArchitectureTests {
  /// What each module of `Sources/` imports of the others.
  private static func imports() throws -> [String: Set<String>] {
    let folders = try FileManager.default.contentsOfDirectory(atPath: Repository.path("Sources"))
    // The names of C libraries begin like this: CZlib.
    let modules = Set(folders.filter { $0.prefixMatch(of: /C[A-Z]/) == nil })
    let line = /^(?:@[a-z_A-Z]+ )?(?:public |package |internal )?import ([A-Za-z]+)$/
    var imports: [String: Set<String>] = [:]
    for module in modules {
      var found: Set<String> = []
      let files = FileManager.default.enumerator(atPath: Repository.path("Sources/\(module)"))
      while let file = files?.nextObject() as? String {
        guard file.hasSuffix(".swift") else { continue }
        let text = try Repository.text("Sources/\(module)/\(file)")
        for match in text.split(separator: "\n").compactMap({ $0.wholeMatch(of: line) }) {
          found.insert(String(match.1))
        }
      }
      imports[module] = found.intersection(modules).subtracting([module])
    }
    return imports
  }

  /// The arrows of the picture: `A --> B` says that A imports B.
  private static var arrows: [String: Set<String>] {
    let arrow = /^ *([A-Za-z-]+) --> ([A-Za-z]+)$/
    var arrows: [String: Set<String>] = [:]
    for line in Documents.lines(of: "architecture.md") {
      guard let match = line.wholeMatch(of: arrow) else { continue }
      arrows[String(match.1), default: []].insert(String(match.2))
    }
    return arrows
  }

  private static func reached(
    from module: String, in graph: [String: Set<String>]
  ) -> Set<String> {
    var reached: Set<String> = []
    var next = Array(graph[module] ?? [])
    while let other = next.popLast() {
      if reached.insert(other).inserted { next += graph[other] ?? [] }
    }
    return reached
  }

  @Test("Each arrow of the picture is an import, and leads where no other way does")
  func arrowsAreImports() throws {
    let (imports, arrows) = (try Self.imports(), Self.arrows)
    #expect(arrows.count > 10)
    for (module, others) in arrows {
      for other in others {
        #expect(imports[module]?.contains(other) == true, "\(module) --> \(other)")
        let ways = others.subtracting([other]).contains {
          Self.reached(from: $0, in: arrows).contains(other)
        }
        #expect(!ways, "\(module) --> \(other) goes without saying")
      }
    }
  }

  @Test("Each import is an arrow of the picture, or a way along several")
  func importsAreArrows() throws {
    let arrows = Self.arrows
    for (module, others) in try Self.imports() {
      // The tools are many and alike; the picture has them as one line of text.
      guard !module.hasPrefix("svsm-mig-") else { continue }
      let reached = Self.reached(from: module, in: arrows)
      #expect(others.isSubset(of: reached), "\(module): \(others.subtracting(reached))")
    }
  }

  @Test("Every module is in the table of rooms")
  func everyModuleHasARow() throws {
    let table = try #require(
      Table.all(in: Documents.lines(of: "architecture.md"), first: "module").first)
    let named = Set(table.rows.map { $0[0].filter { $0 != "`" } })
    let modules = try Self.imports().keys.filter { !$0.hasPrefix("svsm-mig-") }
    #expect(named.isSuperset(of: modules), "\(Set(modules).subtracting(named))")
  }

  @Test(
    "Files that the texts on the code name are there", arguments: ["architecture", "contributing"])
  func namedFilesExist(text: String) {
    let name = /`((?:Sources|Tests|Fixtures)\/[A-Za-z\/.-]+)`/
    var count = 0
    for line in Documents.lines(of: "\(text).md") {
      for match in line.matches(of: name) where !match.1.contains("NAME") {
        count += 1
        let path = Repository.path(String(match.1))
        #expect(FileManager.default.fileExists(atPath: path), "\(match.1)")
      }
    }
    #expect(count > 10)
  }
}
