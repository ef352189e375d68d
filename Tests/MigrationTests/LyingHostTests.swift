import Cryptography
import Errors
import Guest
import Migration
import MigrationSupport
import SEVSNP
import SVSM
import TestSupport
import Testing

/// What a host makes a source SVSM do, step by step: it may leave out what it likes.
private struct Host: ~Copyable {
  var svsm: SourceSVSM
  private var record = [UInt8](repeating: 0, count: PageMetadata.recordSize)

  init(_ states: [PageState], freshness: SourceSVSM.Freshness = .compared) throws {
    svsm = try SourceSVSM(
      instance: Lab.instance(2, chip: 1), guest: Self.state(states),
      validating: Lab.instance(1).offer, trust: Lab.trust, isMutual: true, freshness: freshness,
      random: .seeded([3]))
  }

  static func state(_ states: [PageState]) throws -> TrustedGuestState {
    try SmallGuest.make(states.map { ($0, 0) }).trustedState()
  }

  mutating func export(_ page: Int, _ byte: UInt8) throws {
    let export = try svsm.makeExport()
    try svsm.beginExport(export, at: UInt64(page * 4096), count: 1)
    try finish(export, [UInt8](repeating: byte, count: 4096))
  }

  mutating func cancel(_ page: Int) throws {
    let export = try svsm.makeExport()
    try svsm.beginCancel(export, at: UInt64(page * 4096), count: 1)
    try finish(export, [])
  }

  private mutating func finish(_ export: PageExport, _ content: [UInt8]) throws {
    var span = record.mutableSpan
    try export.package(content.span, into: &span, at: 0, stride: PageMetadata.recordSize)
    try svsm.finishExport(export)
  }

  /// The SVSM sees the page as it is.
  mutating func check(_ page: Int, _ byte: UInt8) throws {
    let check = try svsm.makeCheck()
    try svsm.beginCheck(check, at: UInt64(page * 4096), count: 1)
    try check.compare([UInt8](repeating: byte, count: 4096).span)
    try svsm.finishCheck(check)
  }

  mutating func closeEpoch(isLast: Bool) throws { _ = try svsm.closeEpoch(isLast: isLast) }

  /// The guest runs until its pages are in these states.
  mutating func run(_ states: [PageState]) throws {
    try closeEpoch(isLast: false)
    try svsm.beginEpoch(with: Self.state(states))
  }
}

@Suite struct LyingHostTests {
  @Test("a host that hides nothing gets the last token")
  func anHonestHostIsServed() throws {
    var host = try Host([.validated, .validated, .validated])
    for page in 0..<3 { try host.export(page, 1) }
    try host.run([.validated, .shared, .validated])
    try host.export(0, 2)
    try host.cancel(1)
    try host.check(0, 2)
    try host.check(2, 1)
    try host.closeEpoch(isLast: true)
  }

  @Test("a dirty page that the host hides is found", arguments: [0, 2])
  func aHiddenDirtyPageIsFound(hidden: Int) throws {
    var host = try Host([.validated, .validated, .validated])
    for page in 0..<3 { try host.export(page, 1) }
    try host.run([.validated, .validated, .validated])
    for page in 0..<3 where page != hidden { try host.export(page, 2) }
    for page in 0..<hidden { try host.check(page, 2) }
    #expect(refusalCode { try host.check(hidden, 2) } == .pageStale)
    #expect(refusalCode { try host.closeEpoch(isLast: true) } == .pageStale)
  }

  @Test("a page changed in one epoch and hidden in a later one is found")
  func aPageChangedTwiceIsFound() throws {
    var host = try Host([.validated])
    try host.export(0, 1)
    try host.run([.validated])
    try host.export(0, 2)
    try host.run([.validated])
    // Its first content is not its last.
    #expect(refusalCode { try host.check(0, 1) } == .pageStale)
  }

  @Test("no page escapes the check")
  func noPageEscapesTheCheck() throws {
    var host = try Host([.validated, .validated])
    for page in 0..<2 { try host.export(page, 1) }
    try host.run([.validated, .validated])
    try host.check(1, 1)
    // Neither one that was passed over nor one that is checked twice.
    #expect(refusalCode { try host.check(0, 1) } == .sessionState)
    #expect(refusalCode { try host.check(1, 1) } == .sessionState)
    #expect(refusalCode { try host.closeEpoch(isLast: true) } == .pageStale)
  }

  @Test("a check of an older epoch does not count")
  func aCheckOfAnOlderEpochDoesNotCount() throws {
    var host = try Host([.validated])
    try host.export(0, 1)
    let check = try host.svsm.makeCheck()
    try host.svsm.beginCheck(check, at: 0, count: 1)
    try check.compare([UInt8](repeating: 1, count: 4096).span)
    try host.run([.validated])
    #expect(refusalCode { try host.svsm.finishCheck(check) } == .sessionState)
    #expect(refusalCode { try host.closeEpoch(isLast: true) } == .pageStale)
  }

  @Test("a cancel that the host forgets is found", arguments: [PageState.shared, .unaccepted])
  func aForgottenCancelIsFound(state: PageState) throws {
    var host = try Host([.validated, .validated])
    for page in 0..<2 { try host.export(page, 1) }
    try host.run([.validated, state])
    try host.check(0, 1)
    #expect(refusalCode { try host.closeEpoch(isLast: true) } == .pageStale)
  }

  @Test("a forgotten cancel does not make up for a forgotten page")
  func twoLiesDoNotCancelOut() throws {
    var host = try Host([.validated, .shared])
    try host.export(0, 1)
    try host.run([.shared, .validated])
    #expect(refusalCode { try host.check(1, 1) } == .pageStale)
    #expect(refusalCode { try host.closeEpoch(isLast: true) } == .pageStale)
  }

  @Test("the SVSM withdraws only what is present and no longer validated")
  func aPageIsWithdrawnOnlyWhenItMayBe() throws {
    var host = try Host([.validated, .shared, .validated])
    try host.export(0, 1)
    try host.export(2, 1)
    try host.run([.validated, .shared, .shared])
    #expect(refusalCode { try host.cancel(0) } == .pageOperation)
    #expect(refusalCode { try host.cancel(1) } == .pageOperation)
    #expect(refusalCode { try host.cancel(3) } == .pageOperation)
    #expect(refusalCode { try host.export(2, 1) } == .pageOperation)
    try host.cancel(2)
    #expect(refusalCode { try host.cancel(2) } == .pageRepeated)
    try host.check(0, 1)
    try host.closeEpoch(isLast: true)
  }

  @Test("a session of one epoch has one")
  func aSessionOfOneEpochHasOne() throws {
    var host = try Host([.validated], freshness: .atRest)
    try host.export(0, 1)
    #expect(refusalCode { try host.closeEpoch(isLast: false) } == .sessionState)
    #expect(refusalCode { _ = try host.svsm.makeCheck() } == .sessionState)
    try host.closeEpoch(isLast: true)
  }

  @Test("the guest changes between epochs only")
  func theGuestChangesBetweenEpochsOnly() throws {
    var host = try Host([.validated])
    try host.export(0, 1)
    #expect(
      refusalCode { try host.svsm.beginEpoch(with: Host.state([.validated])) } == .sessionState)
  }
}
