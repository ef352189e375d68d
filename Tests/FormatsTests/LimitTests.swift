import Compatibility
import Guest
import JSON
import QEMUStream
import Testing

/// The limits that the texts state are those of the code.
@Suite struct LimitTests {
  @Test func aVMDescriptionHasTheLimitsOfTheTable() throws {
    let table = try #require(
      Table.all(in: Documents.lines(of: "stream.md"), first: "what").first {
        $0.header == ["what", "most", "refusal"]
      })
    let row = try #require(table.rows.first { $0[0].hasPrefix("VM description") })
    #expect(VMDescription.sizeLimit == 16 << 20)
    #expect(
      row.dropFirst() == [
        "16 MiB; \(SectionTable.defaultLimit), \(VMDescription.partLimit)", "VMDESC-SYNTAX",
      ])
  }

  /// Manifests and dumps are read as JSON is read unless a limit of its own is set.
  @Test func textsOfOtherProgramsHaveAsManyValuesAsIsStated() {
    let manifest = Documents.lines(of: "guest-bundle.md").first { $0.hasPrefix("| `guest.json` |") }
    #expect(GuestBundle.maximumManifestSize == 16 << 20 && MachineDump.sizeLimit == 16 << 20)
    #expect(manifest?.contains("at most 16 MiB, and \(JSON.valueLimit) JSON values") == true)
    let dump = Documents.lines(of: "target.md").joined(separator: " ")
    #expect(dump.contains("of at most 16 MiB and \(JSON.valueLimit) values"))
  }
}
