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

@Suite struct RoundsTests {
  private let scratch: Scratch
  private let destination: SVSMInstance

  init() throws {
    scratch = try Scratch()
    destination = try Lab.instance(1)
  }

  private func save(
    _ moments: [[(state: PageState, byte: UInt8)]], jobs: Int = 2
  ) throws -> [UInt8] {
    let guests = try moments.map { try SmallGuest.make($0) }
    return try Lab.save(guests[0], rounds: Array(guests[1...]), to: destination, jobs: jobs)
  }

  @Test("whatever way a page takes, the last guest arrives", arguments: [1, 3])
  func theLastGuestArrives(jobs: Int) throws {
    let stream = try save(everyWay, jobs: jobs)
    #expect(try stream == save(everyWay, jobs: 1))
    let summary = try Lab.load(stream, for: destination, to: scratch["out"], jobs: jobs)
    let last = try SmallGuest.make(everyWay[2])
    #expect(summary.epochs == 3)
    #expect(summary.privatePages == 27)
    #expect(summary.sharedPages == 27)
    #expect(summary.guest.pageStates == last.description.pageStates)
    #expect(try scratch.read("out/ram-0.bin") == SmallGuest.memory(of: last))
    let report = try Lab.verifier().verify(StreamInput(ArraySource(stream)), for: destination)
    #expect(report.refusal == nil)
  }

  @Test("an epoch sends what has changed and no more")
  func anEpochSendsWhatHasChanged() throws {
    var reader = SNPStreamReader(
      StreamInput(ArraySource(try save(everyWay))), checkingSealWith: nil)
    var tokens: [EpochToken] = []
    var shared = [0, 0, 0]
    while true {
      let record = try reader.next()
      if case .end = record { break }
      if case .ram(let page) = record, page.page != nil { shared[tokens.count] += 1 }
      guard case .token = record else { continue }
      var cursor = ByteCursor(reader.payload)
      tokens.append(try EpochToken(from: &cursor))
    }
    // Of 81 pages 27 are in each state. Nine go each way from one state to the next; of the nine that
    // stay a third changes in epoch 2, and two thirds in epoch 3.
    #expect(
      tokens.map(\.counts) == [
        PageCounts(migrated: 27),
        PageCounts(migrated: 18, migratedAgain: 3, cancelled: 18),
        PageCounts(migrated: 18, migratedAgain: 6, cancelled: 18),
      ])
    #expect(tokens.map(\.isLast) == [false, false, true])
    #expect(shared == [27, 21, 24])
  }

  @Test("a large guest with holes arrives, and jobs change no byte", arguments: [1, 2, 5])
  func aLargeGuestArrives(jobs: Int) throws {
    var guest = SyntheticGuest(memory: 5 << 20)
    guest.secondBlock = 1 << 20
    guest.seed = [7]
    guest.secretsPage = nil
    guest.changedFraction = 0.1
    guest.convertedFraction = 0.02
    var guests: [GuestReader] = []
    for round in 0..<3 {
      guest.round = round
      try guest.create(at: scratch["round\(round)"])
      guests.append(try GuestReader(bundle: scratch["round\(round)"]))
    }
    let stream = try Lab.save(
      guests[0], rounds: [guests[1], guests[2]], to: destination, jobs: jobs)
    #expect(
      try stream == Lab.save(guests[0], rounds: [guests[1], guests[2]], to: destination, jobs: 1))
    let summary = try Lab.load(stream, for: destination, to: scratch["out"], jobs: jobs)
    #expect(summary.guest.pageStates == guests[2].description.pageStates)
    #expect(summary.guest.vcpus == guests[2].description.vcpus)
    for file in ["ram-0.bin", "ram-1.bin", "page-states.bin", "vcpu-0.vmsa", "service-0.bin"] {
      #expect(try scratch.read("out/\(file)") == scratch.read("round2/\(file)"), "\(file)")
    }
  }

  @Test("a later round is the same guest")
  func aLaterRoundIsTheSameGuest() throws {
    let guest = try SmallGuest.make(everyWay[0])
    let other = try SmallGuest.make(Array(everyWay[1].dropLast()))
    #expect(
      refusalCode { _ = try Lab.save(guest, rounds: [other], to: destination) } == .guestShape)
  }

  /// Rows: states of one page in three epochs; the epoch in which the source's VMM slips in content
  /// for it, before the epoch's page records or behind its memory; what becomes of it.
  @Test(
    "shared content never replaces what is private",
    arguments: [
      ("VVV", 1, true, .mapSharedAtPrivate), ("VVV", 1, false, .mapSharedAtPrivate),
      ("VVV", 2, true, .mapSharedAtPrivate), ("VVV", 3, false, .mapSharedAtPrivate),
      ("SSV", 3, true, .mapSharedAtPrivate), ("SSV", 3, false, .mapSharedAtPrivate),
      ("SVV", 2, true, .mapSharedAtPrivate), ("SVS", 2, false, .mapSharedAtPrivate),
      // Withdrawn and validated again: content between leaves no trace.
      ("VSV", 2, true, .mapSharedAtPrivate), ("VSV", 2, false, nil),
      ("VSV", 3, true, .mapSharedAtPrivate), ("VUV", 2, false, nil),
      ("VUV", 3, true, .mapSharedAtPrivate), ("VUV", 3, false, .mapSharedAtPrivate),
      // Never accepted in the end: zero, whatever came before; nothing may come now.
      ("UUU", 3, false, .mapSharedAtPrivate), ("UUU", 3, true, .mapSharedAtPrivate),
      ("UUU", 1, false, nil), ("SSU", 2, false, nil), ("VUU", 2, false, nil),
      ("VVU", 3, false, .mapSharedAtPrivate),
    ] as [(String, Int, Bool, ErrorCode?)])
  func sharedContentNeverReplacesWhatIsPrivate(
    way: String, epoch: Int, isFirst: Bool, code: ErrorCode?
  ) throws {
    let moments = self.moments(way)
    var stream = try ResealedStream(save(moments))
    try stream.insertShared(page: 1, byte: 0xee, epoch: epoch, isFirst: isFirst)
    let lie = try stream.sealed()
    #expect(
      refusalCode { try Lab.load(lie, for: destination, to: scratch["out"]) } == code)
    guard code == nil else { return }
    let last = try SmallGuest.make(moments[2])
    #expect(try scratch.read("out/ram-0.bin") == SmallGuest.memory(of: last))
  }

  @Test("in a stream of one epoch no private page has shared content", arguments: ["V", "U"])
  func oneEpochHasNoSharedContentAtPrivatePages(way: String) throws {
    for isFirst in [true, false] {
      var stream = try ResealedStream(save(moments(way)))
      try stream.insertShared(page: 1, byte: 0xee, epoch: 1, isFirst: isFirst)
      let lie = try stream.sealed()
      #expect(
        refusalCode { try Lab.load(lie, for: destination, to: scratch["out"]) }
          == .mapSharedAtPrivate)
    }
  }

  @Test("a page that was withdrawn to be shared must come", arguments: ["VVS", "SVS", "VUS"])
  func aSharedPageMustComeAfterItWasWithdrawn(way: String) throws {
    var stream = try ResealedStream(save(moments(way)))
    try stream.removeShared(epoch: 3)
    let lie = try stream.sealed()
    #expect(
      refusalCode { try Lab.load(lie, for: destination, to: scratch["out"]) } == .mapMissingPage)
  }

  /// A page between two that stay, in the states `way` names, with another content in each epoch.
  private func moments(_ way: String) -> [[(state: PageState, byte: UInt8)]] {
    way.enumerated().map { epoch, letter in
      let state: PageState =
        letter == "S" ? .shared : letter == "V" ? .validated : .unaccepted
      let byte = state == .unaccepted ? 0 : UInt8(0x10 + epoch)
      return [(.shared, 1), (state, byte), (.validated, 3)]
    }
  }
}
