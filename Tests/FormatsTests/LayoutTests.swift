import Foundation
import Guest
import Migration
import QEMUStream
import SEVSNP
import SVSM
import Testing
import Wire

/// Every fixed layout of the code.
let allLayouts: [RecordLayout] = [
  StreamGrammar.headerLayout, StreamGrammar.footerLayout,
  MigrationData.layout, SVSMInstance.layout, AbortToken.layout, TransferData.layout,
  PageMetadata.recordLayout, EpochToken.layout, FinalRecord.layout, CommitRecord.layout,
  VCPUPlaintext.layout, ServicePlaintext.layout, SecretsPlaintext.layout,
  SecretsPageFacts.layout, PageStateMap.runLayout, GuestMap.headerLayout, GuestMap.entryLayout,
  MachineState.layout, MachineState.entryLayout, MachineState.sealedLayout, Seal.layout,
  AttestationReport.layout, ReportResponse.layout, HCLReport.layout, CertificateTable.layout,
  VMSA.layout, SecretsPage.layout, ELFCoreNotes.prstatusLayout, ELFCoreNotes.cpuStateLayout,
]

@Suite struct LayoutTests {
  /// Name of each marker, and the table behind it.
  private static let tables: [(name: String, document: String, table: Table?)] =
    Documents.texts.flatMap { text in
      text.lines.indices.compactMap { index in
        let parts = text.lines[index].split(separator: " ")
        guard parts.count == 4, parts[0] == "<!--", parts[1] == "layout:" else { return nil }
        return (String(parts[2]), text.name, Table(in: text.lines, from: index + 1))
      }
    }

  @Test(arguments: allLayouts.map(\.name))
  func everyLayoutStandsInTheFormatsFieldByField(name: String) throws {
    let layout = try #require(allLayouts.first { $0.name == name })
    let found = Self.tables.filter { $0.name == name }
    #expect(!found.isEmpty, "no table is marked")
    for entry in found {
      let table = try #require(entry.table, "\(entry.document): no table behind the marker")
      #expect(table.header == ["offset", "size", "field", "meaning"], "\(entry.document)")
      #expect(
        table.rows.map { Array($0.prefix(3)) }
          == layout.fields.map { ["\($0.offset)", "\($0.size)", $0.name] }, "\(entry.document)")
    }
  }

  @Test func everyMarkerNamesALayout() {
    let known = Set(allLayouts.map(\.name))
    for entry in Self.tables where !known.contains(entry.name) {
      Issue.record("\(entry.document) describes \(entry.name), which no code has")
    }
  }

  @Test func noLayoutOfTheCodeIsForgotten() throws {
    let declaration = /RecordLayout\(\s*"([^"]+)"/
    let declared = Documents.sources.flatMap { source in
      source.matches(of: declaration).map { String($0.1) }
    }
    #expect(declared.sorted() == allLayouts.map(\.name).sorted())
  }

  @Test func layoutsHaveDifferentNames() {
    #expect(Set(allLayouts.map(\.name)).count == allLayouts.count)
  }
}
