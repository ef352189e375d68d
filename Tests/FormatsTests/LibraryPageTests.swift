import Foundation
import TestSupport
import Testing

/// The first pages of the libraries show programs that are built and run.
@Suite struct LibraryPageTests {
  /// Each library, and the program of `Tests/Example` that its page shows.
  private static let pages = [
    ("QEMUMigrationStream", "ReadStream"), ("SNPMigration", "MigrateGuest"),
    ("SNPAttestation", "VerifyReport"),
  ]

  @Test("The sample of a first page is a program of the example package", arguments: pages)
  func samplesAreBuilt(library: String, program: String) throws {
    let page = try Repository.text("Sources/\(library)/\(library).docc/\(library).md")
    let parts = page.components(separatedBy: "```")
    let sample = try #require(parts.first { $0.hasPrefix("swift\n") }).dropFirst("swift\n".count)
    let source = try Repository.text("Tests/Example/Sources/\(program)/main.swift")
    #expect(sample == source)
    // A first page is read at once.
    #expect(source.split(separator: "\n").count <= 30)
  }

  @Test("Every library that the package offers has a first page")
  func everyProductHasAPage() throws {
    let manifest = try Repository.text("Package.swift")
    let products = manifest.matches(of: /[ (]product\("([A-Za-z]+)"\)/).map { String($0.1) }
    #expect(products.count == 4)
    for product in products {
      let page = try Repository.text("Sources/\(product)/\(product).docc/\(product).md")
      #expect(page.hasPrefix("# ``\(product)``\n"), "\(product)")
      #expect(page.contains("Begin here"), "\(product)")
    }
  }
}
