import SVSM
import TestSupport
import Testing

/// `Formats/replay.md` and the calls of a trace say the same.
@Suite struct TraceFormatTests {
  @Test("The text names each call that a trace can have, and where api.md has it")
  func theTextNamesEachCall() throws {
    let rows = Table.all(in: Documents.lines(of: "replay.md"), first: "call").flatMap(\.rows)
    #expect(rows.map { $0[0] } == TraceCall.allCases.map { "`\($0.rawValue)`" })
    let api = Documents.lines(of: "api.md")
    for row in rows {
      #expect(api.contains { $0.hasPrefix("### \(row[2]) ") }, "\(row[0])")
      for name in row[1].split(separator: "`") where name.contains(".") {
        let method = name.split(separator: ".").last.map(String.init) ?? ""
        #expect(api.contains { $0.contains(method) }, "\(name)")
      }
    }
  }
}
