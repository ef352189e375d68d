import Attacks
import Errors
import Foundation
import JSON
import SEVSNP
import TestSupport
import Testing
import Wire

/// `Formats/policy.schema.json` and the reader take and refuse the same.
@Suite struct PolicySchemaTests {
  private let schema: JSONSchema

  init() throws { schema = try JSONSchema("Formats/policy.schema.json") }

  private func isRead(_ json: JSON) -> Bool {
    (try? AttestationPolicy(parsing: json.pretty)) != nil
  }

  /// Vectors of what a schema cannot say.
  private static let beyond = [
    "policy-tcb-product-twice", "policy-platform-both", "policy-guest-policy-form",
    "policy-key-twice", "policy-no-json",
  ]

  @Test("The schema says of each vector of a policy what the reader says")
  func theSchemaAgreesWithTheVectors() throws {
    var count = 0
    for file in try FileManager.default.contentsOfDirectory(atPath: Fixture.path("vectors"))
    where file.hasPrefix("policy-") {
      let name = String(file.dropLast(".vector".count))
      let vector = try Vector(parsing: Fixture.text("vectors/\(file)"), fileName: name)
      guard !Self.beyond.contains(name) else { continue }
      count += 1
      let output = CollectedOutput()
      try vector.make(
        from: { (_) throws(MigrationError) in
          throw MigrationError(.internal, "a policy's vector holds its policy")
        }, to: output)
      let json = try JSON(parsing: output.bytes)
      let problems = schema.problems(of: json)
      #expect(problems.isEmpty == (vector.verdict == .accepted), "\(name): \(problems)")
      #expect(isRead(json) == (vector.verdict == .accepted), "\(name)")
    }
    #expect(count > 20)
  }

  @Test("Every policy among the fixtures is as the schema says, and is read")
  func fixturesAreAsTheSchemaSays() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Fixture.path("policies"))
    #expect(names.count > 10)
    for name in names {
      let json = try JSON(parsing: Fixture.read("policies/\(name)"))
      #expect(schema.problems(of: json) == [], "\(name)")
      #expect(isRead(json), "\(name)")
    }
  }

  @Test("Whatever stands in place of a value, schema and reader agree whether it may")
  func schemaAndReaderAgreeOnEveryValue() throws {
    let rich = try AttestationPolicy.Key.allCases.reduce(into: [JSON.Member]()) { members, key in
      let files = ["milan", "turin", "provider", "author-key"]
      for file in files where !members.contains(where: { $0.key == key.rawValue }) {
        let json = try JSON(parsing: Fixture.read("policies/\(file).json"))
        if let value = json[key.rawValue] { members.append(.init(key.rawValue, value)) }
      }
    }
    #expect(rich.map(\.key) == AttestationPolicy.Key.allCases.map(\.rawValue))
    #expect(isRead(.object(rich)) && schema.problems(of: .object(rich)) == [])
    let others: [JSON] = [
      nil, true, false, 0, 1, -1, .decimal("1.5"), .decimal("1e3"), 255, 256, 4_294_967_295,
      4_294_967_296, "", "0x0", "0x1", "0x", "0x3001f", "0X3001f", "0x30000000000020000", "1.55.0",
      "01.5.0", "1.256.0", "1.55", "249.200.0", "smt", "Milan", [], [nil], [0], [""], ["smt"],
      ["ecc", "smt"], ["5a"], ["CN=a b"], ["CN=\u{7f}"], [[]], [["product": "Milan"]], ["a": 1],
      [:], ["required": ["smt"]], ["required": []], ["forbidden": ["smt"], "required": ["ecc"]],
      .string(String(repeating: "5a", count: 16)), .string(String(repeating: "5A", count: 32)),
      .array([.string(String(repeating: "5a", count: 48))]),
      .array([.string(String(repeating: "00", count: 48))]),
      .array([.string(String(repeating: "0b", count: 64))]),
      .array([.string(String(repeating: "p", count: 256))]),
    ]
    for index in rich.indices {
      for other in others {
        var changed = rich
        changed[index].value = other
        let json = JSON.object(changed)
        // Bits 17 and 63:26 of a guest policy are beyond a pattern.
        if rich[index].key == "guestPolicy", other == "0x0" || other == "0x1" { continue }
        #expect(
          isRead(json) == schema.problems(of: json).isEmpty,
          "\(rich[index].key): \(other) \(schema.problems(of: json))")
      }
      var missing = rich
      missing.remove(at: index)
      #expect(isRead(.object(missing)) == (index != 0))
      #expect(schema.problems(of: .object(missing)).isEmpty == (index != 0))
    }
  }
}
