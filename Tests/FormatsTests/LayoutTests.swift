import Foundation
import Guest
import Migration
import QEMUStream
import SEVSNP
import SVSM
import Testing
import Wire

/// Every record of the code that has a table.
private let allRecords: [any WireRecord.Type] = [
  StreamGrammar.Header.self, StreamGrammar.Footer.self, SEVPacketHeader.self,
  SEVSharedRegion.self, CSVCPUIndex.self, TDXBundleHeader.self, TDXBundleMetadata.self,
  MigrationData.Layout.self, SVSMInstance.Layout.self, AbortToken.Layout.self,
  TransferData.Layout.self, PageMetadata.Layout.self, EpochToken.Layout.self,
  FinalRecord.Layout.self, CommitRecord.Layout.self, VCPUPlaintext.Layout.self,
  ServicePlaintext.Layout.self, SecretsPlaintext.Layout.self, GuestMap.Header.self,
  GuestMap.Entry.self, MachineState.Layout.self, MachineState.EntryLayout.self,
  SealedMachine.Layout.self, Seal.Layout.self, ELFCoreNotes.ProcessStatus.self,
  ELFCoreNotes.CPUState.self, SecretsPageFacts.Layout.self, PageStateMap.Layout.self,
  AttestationReport.Layout.self, ReportResponse.Layout.self, HCLReport.Layout.self,
  CertificateTable.Layout.self, VMSA.Layout.self, SecretsPage.Layout.self,
]

/// Name of each table, and its rows: offset, size, field.
private let allLayouts: [(name: String, rows: [[String]])] =
  allRecords.map { record in
    (record.name, record.fields.map { ["\($0.range.lowerBound)", "\($0.range.count)", $0.name] })
  }

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
        table.rows.map { Array($0.prefix(3)) } == layout.rows, "\(entry.document)")
    }
  }

  @Test func everyMarkerNamesALayout() {
    let known = Set(allLayouts.map(\.name))
    for entry in Self.tables where !known.contains(entry.name) {
      Issue.record("\(entry.document) describes \(entry.name), which no code has")
    }
  }

  @Test func noLayoutOfTheCodeIsForgotten() throws {
    let declaration =
      /: WireRecord \{\s*package static let name = "([^"]+)"/
    let declared = Documents.sources.flatMap { source in
      source.matches(of: declaration).map { String($0.1) }
    }
    #expect(declared.sorted() == allLayouts.map(\.name).sorted())
  }

  @Test func layoutsHaveDifferentNames() {
    #expect(Set(allLayouts.map(\.name)).count == allLayouts.count)
  }
}
