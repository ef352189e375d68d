import Cryptography
import Errors
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing
import Wire

/// The tables of states in `Formats/api.md` and the calls of the code, row by row.
@Suite struct StateTests {
  private typealias Trials = [String: @Sendable () throws -> [ErrorCode?]]

  private static let sourceTrials: Trials = [
    "anything with an instance that is neither ready nor resumed": {
      try unready.filter { $0.stage != .resumed }.map { instance in
        refusalCode { _ = try source(instance) }
      }
    },
    "resume when nothing was committed": {
      let token = try Lab.instance(1).giving(up: nil).abortToken(naming: nil)
      return [
        refusalCode { _ = try Lab.instance(2).resumed(after: token, acceptsSeeded: true) }
      ]
    },
    "package or withdraw a page, or close an epoch, after the last token": {
      var svsm = try drained()
      let export = try svsm.makeExport()
      return [
        refusalCode { try svsm.beginExport(export, at: 0, count: 1) },
        refusalCode { try svsm.beginCancel(export, at: 0x1000, count: 1) },
        refusalCode { _ = try svsm.closeEpoch(isLast: true) },
      ]
    },
    "last token while a validated page is not exported as it is now, or another page is": {
      var svsm = try source()
      return [refusalCode { _ = try svsm.closeEpoch(isLast: true) }]
    },
    "a token that is not the last in a session of one epoch; the next epoch before the token": {
      var single = try source()
      var live = try source(freshness: .compared)
      try export(from: &live)
      return [
        refusalCode { _ = try single.closeEpoch(isLast: false) },
        refusalCode { try live.beginEpoch(with: guest().trustedState()) },
      ]
    },
    "take the paused guest's state in a session of one epoch": {
      var svsm = try source()
      return [refusalCode { try svsm.pause(with: guest().trustedState()) }]
    },
    "last token of a guest that ran and was not paused": {
      var state = try guest().trustedState()
      (state.vcpus, state.services) = ([], [])
      var svsm = try source(freshness: .hostLog, state: state)
      try export(from: &svsm)
      return [refusalCode { _ = try svsm.closeEpoch(isLast: true) }]
    },
    "validate attributes, check pages, take the paused guest's state or begin the next epoch after the last token":
      {
        var svsm = try source(freshness: .compared)
        try export(from: &svsm)
        let check = try svsm.makeCheck()
        try compare(check, with: &svsm)
        _ = try svsm.closeEpoch(isLast: true)
        return [
          refusalCode { try svsm.validateAttributes([0..<0x1000]) },
          refusalCode { try svsm.beginCheck(check, at: 0, count: 1) },
          refusalCode { try svsm.beginEpoch(with: guest().trustedState()) },
          refusalCode { try svsm.beginEpoch() },
          refusalCode { try svsm.pause(with: guest().trustedState()) },
        ]
      },
    "package final state before the last token": {
      var svsm = try source()
      return [refusalCode { try svsm.packageFinalState(secretsPage: nil) { _, _ in } }]
    },
    "package final state twice, or after the commit": {
      var svsm = try described()
      let twice = refusalCode { try svsm.packageFinalState(secretsPage: nil) { _, _ in } }
      _ = try svsm.commit()
      return [twice, refusalCode { try svsm.packageFinalState(secretsPage: nil) { _, _ in } }]
    },
    "commit before the last token, or without final state": {
      var early = try source()
      var bare = try drained()
      return [refusalCode { _ = try early.commit() }, refusalCode { _ = try bare.commit() }]
    },
    "commit twice": {
      var svsm = try described()
      _ = try svsm.commit()
      return [refusalCode { _ = try svsm.commit() }]
    },
    "sign the seal before the commit": {
      let svsm = try described()
      let seal = try Seal(coveredLength: 0, root: [], trailer: [], signer: nil)
      return [refusalCode { _ = try svsm.sign(seal) }]
    },
    "package final state or commit when dead": {
      var svsm = try drained()
      let failure = MigrationError(.writeFailed, "disk is full")
      _ = refusalCode {
        try svsm.packageFinalState(secretsPage: nil) { (_, _) throws(MigrationError) in
          throw failure
        }
      }
      return [
        refusalCode { try svsm.packageFinalState(secretsPage: nil) { _, _ in } },
        refusalCode { _ = try svsm.commit() },
      ]
    },
  ]

  private static let destinationTrials: Trials = [
    "anything with an instance that is not ready": {
      let records = try Records()
      return try unready.map { instance in
        refusalCode { _ = try records.destination(instance) }
      }
    },
    "abort of the session that was restored, or of none that is named, when restoring or imported":
      {
        let data = try Records().session
        let restoring = try Lab.instance(1).restoring(by: data, unnamed: nil)
        return try [restoring, restoring.imported()].flatMap { instance in
          try [nil, data.digest()].map { session in
            refusalCode { _ = try instance.giving(up: session) }
          }
        }
      },
    "a page or token after the last token": {
      let records = try Records()
      var one = try records.destination()
      var other = try records.destination()
      try records.drain(&one)
      try records.drain(&other)
      return [
        refusalCode { try records.process(records.page, &one) },
        refusalCode { _ = try other.processEpochToken(records.token.span, at: 0) },
      ]
    },
    "final state or commit before the last token, or after the commit": {
      let records = try Records()
      let final = records.finals[0]
      var codes: [ErrorCode?] = []
      for isAfter in [false, true] {
        var one = try records.destination()
        var other = try records.destination()
        if isAfter {
          try records.commit(&one)
          try records.commit(&other)
        }
        codes.append(
          refusalCode { try one.processFinalState(final.bytes.span, in: final.place, at: 0) })
        codes.append(refusalCode { _ = try other.processCommit(records.commit.span, at: 0) })
      }
      return codes
    },
    "any call when dead": {
      let records = try Records()
      var svsm = try records.destination()
      let noToken = [UInt8](repeating: 0, count: EpochToken.Layout.size)
      _ = refusalCode { _ = try svsm.processEpochToken(noToken.span, at: 0) }
      let final = records.finals[0]
      return [
        refusalCode { try records.process(records.page, &svsm) },
        refusalCode { _ = try svsm.processEpochToken(records.token.span, at: 0) },
        refusalCode { try svsm.processFinalState(final.bytes.span, in: final.place, at: 0) },
        refusalCode { _ = try svsm.processCommit(records.commit.span, at: 0) },
      ]
    },
  ]

  @Test(arguments: sourceTrials.keys.sorted())
  func aCallOfTheSourceOutOfStateIsRefusedAsTheTableSays(row: String) throws {
    try hold(row, of: "### 1.1 Source", Self.sourceTrials)
  }

  @Test(arguments: destinationTrials.keys.sorted())
  func aCallOfTheDestinationOutOfStateIsRefusedAsTheTableSays(row: String) throws {
    try hold(row, of: "### 1.2 Destination", Self.destinationTrials)
  }

  @Test func everyRowIsTried() throws {
    #expect(
      Set(try rows("### 1.1 Source", "call out of state").map { $0[0] })
        == Set(Self.sourceTrials.keys))
    #expect(
      Set(try rows("### 1.2 Destination", "call out of state").map { $0[0] })
        == Set(Self.destinationTrials.keys))
  }

  @Test func theStatesAreThoseOfTheCode() throws {
    let source = try rows("### 1.1 Source", "state").map { $0[0] }
    #expect(source == ["ready, resumed"] + SourceSVSM.Phase.allCases.map { "\($0)" })
    let destination = try rows("### 1.2 Destination", "state").map { $0[0] }
    let stages: [SVSMInstance.Stage] = [.ready, .restoring, .imported, .aborted]
    #expect(
      Set(destination)
        == Set(stages.map { "\($0)" } + DestinationSVSM.Phase.allCases.map { "\($0)" }))
  }

  @Test func aMigrationGoesThroughTheStatesInOrder() throws {
    var svsm = try Self.source()
    #expect(svsm.phase == .exporting)
    try Self.export(from: &svsm)
    _ = try svsm.closeEpoch(isLast: true)
    #expect(svsm.phase == .drained)
    try svsm.packageFinalState(secretsPage: nil) { _, _ in }
    #expect(svsm.phase == .described)
    _ = try svsm.commit()
    #expect(svsm.phase == .committed)
    let records = try Records()
    var destination = try records.destination()
    #expect(destination.phase == .importing)
    try records.drain(&destination)
    #expect(destination.phase == .drained)
    try records.finish(&destination)
    #expect(destination.phase == .committed)
  }

  // MARK: The tables

  private func rows(_ section: String, _ first: String) throws -> [[String]] {
    let lines = Documents.lines(of: "api.md")
    let start = try #require(lines.firstIndex(of: section))
    let table = try #require(
      lines[start...].firstIndex { $0.hasPrefix("| \(first) |") }.flatMap {
        Table(in: lines, from: $0)
      })
    return table.rows
  }

  private func hold(_ call: String, of section: String, _ trials: Trials) throws {
    let row = try #require(try rows(section, "call out of state").first { $0[0] == call })
    let codes = row[1].split(separator: ", ").map { $0.trimmingPrefix("`").dropLast() }
    let trial = try #require(trials[call])
    let found = try trial().map { $0?.rawValue ?? "none" }
    #expect(Set(found) == Set(codes.map(String.init)))
  }

  // MARK: Both ends

  /// Instances that have served, or have given up.
  private static var unready: [SVSMInstance] {
    get throws {
      let data = try source().transferData
      let exported = try Lab.instance(2).exported(by: data, to: Lab.instance(1).offer)
      let restoring = try Lab.instance(1).restoring(by: data, unnamed: nil)
      let token = try Lab.instance(1).giving(up: nil).abortToken(naming: nil)
      return [
        exported, restoring, try restoring.imported(), try Lab.instance(1).giving(up: nil),
        try exported.resumed(after: token, acceptsSeeded: true),
      ]
    }
  }

  /// One private page and one shared.
  fileprivate static func guest() throws -> GuestReader {
    try SmallGuest.make([(.validated, 1), (.shared, 2)])
  }

  private static func source(
    _ instance: SVSMInstance? = nil, freshness: SourceSVSM.Freshness = .atRest,
    state: TrustedGuestState? = nil
  ) throws -> SourceSVSM {
    try SourceSVSM(
      instance: instance ?? Lab.instance(2, chip: 1), guest: state ?? guest().trustedState(),
      validating: Lab.instance(1).offer, trust: Lab.trust, isMutual: true, freshness: freshness,
      random: .seeded([3]))
  }

  private static func export(from svsm: inout SourceSVSM) throws {
    var record = [UInt8](repeating: 0, count: PageMetadata.recordSize)
    var span = record.mutableSpan
    let page = [UInt8](repeating: 1, count: PageMetadata.pageSize)
    let export = try svsm.makeExport()
    try svsm.beginExport(export, at: 0, count: 1)
    try export.package(page.span, into: &span, at: 0, stride: PageMetadata.recordSize)
    try svsm.finishExport(export)
  }

  private static func compare(_ check: PageCheck, with svsm: inout SourceSVSM) throws {
    try svsm.beginCheck(check, at: 0, count: 1)
    try check.compare([UInt8](repeating: 1, count: PageMetadata.pageSize).span)
    try svsm.finishCheck(check)
  }

  private static func drained() throws -> SourceSVSM {
    var svsm = try source()
    try export(from: &svsm)
    _ = try svsm.closeEpoch(isLast: true)
    return svsm
  }

  private static func described() throws -> SourceSVSM {
    var svsm = try drained()
    try svsm.packageFinalState(secretsPage: nil) { _, _ in }
    return svsm
  }
}

/// The records of a stream, to be handed to its destination in any order.
private struct Records {
  var session: TransferData
  var page: [UInt8] = []
  var token: [UInt8] = []
  var finals: [(place: FinalRecord.Place, bytes: [UInt8])] = []
  var commit: [UInt8] = []

  init() throws {
    let stream = try Lab.save(StateTests.guest(), to: Lab.instance(1))
    var reader = SNPStreamReader(StreamInput(ArraySource(stream)), checkingSealWith: nil)
    var session: TransferData?
    reading: while true {
      let record = try reader.next()
      let payload = Array(copying: reader.payload)
      switch record {
      case .session(let data): session = data
      case .pages: page = Array(payload.prefix(PageMetadata.recordSize))
      case .token: token = payload
      case .final(let place): finals.append((place, payload))
      case .commit: commit = payload
      case .end: break reading
      default: continue
      }
    }
    self.session = try #require(session)
  }

  func destination(_ instance: SVSMInstance? = nil) throws -> DestinationSVSM {
    try DestinationSVSM(
      instance: instance ?? Lab.instance(1), transferData: session, trust: Lab.trust,
      options: .test, at: 0)
  }

  func process(_ page: [UInt8], _ svsm: inout DestinationSVSM) throws {
    let pages = try svsm.makeImport()
    pages.open(page.span, stride: page.count, count: 1)
    _ = try svsm.processPage(0, of: pages, at: 0)
  }

  /// All up to the last token.
  func drain(_ svsm: inout DestinationSVSM) throws {
    try process(page, &svsm)
    try svsm.processEpochToken(token.span, at: 0)
  }

  /// All after it.
  func finish(_ svsm: inout DestinationSVSM) throws {
    for final in finals {
      try svsm.processFinalState(final.bytes.span, in: final.place, at: 0)
    }
    _ = try svsm.processCommit(commit.span, at: 0)
  }

  func commit(_ svsm: inout DestinationSVSM) throws {
    try drain(&svsm)
    try finish(&svsm)
  }
}
