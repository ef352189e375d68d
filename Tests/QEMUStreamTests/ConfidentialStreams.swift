import Errors
import JSON
import QEMUStream
import TestSupport

/// A golden stream of a dialect (`Fixtures/dialects/generate.py`), and what its generator knows of it.
struct ConfidentialCase {
  static let names = ConfidentialDialect.allCases.map(\.rawValue) + ["intel-tdx-postcopy"]

  let bytes: [UInt8]
  let facts: JSON

  init(_ name: String) throws {
    bytes = try Fixture.read("dialects/\(name)/stream.xz")
    facts = try JSON(parsing: Fixture.read("dialects/\(name)/case.json"))
  }

  init(_ dialect: ConfidentialDialect) throws { try self.init(dialect.rawValue) }

  /// Bytes of which a change must be found, each with the masks that change it.
  var checked: [(offset: Int, masks: [UInt8])] {
    (facts["checked"]?.array ?? []).flatMap { entry -> [(Int, [UInt8])] in
      guard let parts = entry.array, let start = parts[0].int, let end = parts[1].int else {
        return []
      }
      let masks = (parts[2].array ?? []).compactMap(\.int).map { UInt8($0) }
      return (start..<end).map { ($0, masks) }
    }
  }

  /// The first byte of the dialect.
  var start: Int { facts["checked"]?.array?.first?.array?.first?.int ?? 0 }

  /// What is found in `bytes`, the first thing first; empty where nothing is wrong.
  static func findings(in bytes: [UInt8]) -> [MigrationError] {
    let findings = Findings()
    do throws(MigrationError) {
      _ = try walk(bytes) { findings.errors.append($0) }
    } catch {
      findings.errors.append(error)
    }
    return findings.errors
  }

  /// Reads all of a stream, and holds that all of its memory came.
  static func walk(
    _ bytes: [UInt8], pieceSize: Int = .max, refuse: @escaping MigrationError.Refusal
  ) throws(MigrationError) -> ConfidentialFacts {
    var reader = QEMUStreamReader(
      StreamInput(ArraySource(bytes, pieceSize: pieceSize), capacity: 8192))
    reader.readDialects(refuse: refuse)
    let assembly = RAMAssembly()
    while true {
      switch try reader.next() {
      case .ram(.blockList):
        try assembly.begin(reader.ram, of: reader.configuration, into: nil)
      case .ram(let record): try assembly.take(record, from: reader.input, page: reader.ram.page)
      case .confidential(let page):
        if let page { try assembly.take(encrypted: page) }
      case .end:
        let facts = reader.confidential?.facts ?? ConfidentialFacts()
        if facts.dialect?.placesPages != false { try assembly.requireWhole(at: 0) }
        return facts
      default: break
      }
    }
  }

  private final class Findings {
    var errors: [MigrationError] = []
  }
}
