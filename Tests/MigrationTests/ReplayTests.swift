import Errors
import Guest
import Migration
import MigrationSupport
import SEVSNP
import SVSM
import TestSupport
import Testing

/// Memory as it was at a moment within a stream.
@Suite struct ReplayTests {
  private let destination: SVSMInstance
  private let stream: [UInt8]

  init() throws {
    destination = try Lab.instance(1)
    let guests = try everyWay.map { try SmallGuest.make($0) }
    stream = try Lab.save(guests[0], rounds: Array(guests[1...]), to: destination)
  }

  @Test(
    "at the end of each epoch memory is what the guest had then, whatever way a page took",
    arguments: [1, 2, 3], [1, 3])
  func memoryIsWhatTheGuestHad(epoch: Int, jobs: Int) throws {
    let moment = GuestMoment(epoch: UInt32(epoch))
    let (summary, guest) = try Lab.replay(stream, until: moment, for: destination, jobs: jobs)
    let bytes = try SmallGuest.memory(of: guest)
    let now = everyWay[epoch - 1]
    for (page, expected) in now.enumerated() {
      let history = everyWay[..<epoch].map { $0[page] }
      // A guest says nothing when it frees a page that it shared.
      let lastSent = history.last { $0.state != .unaccepted }
      let isForgotten = expected.state == .unaccepted && lastSent?.state == .shared
      let byte = isForgotten ? lastSent?.byte : expected.byte
      #expect(bytes[page * 4096..<(page + 1) * 4096].allSatisfy { $0 == byte }, "page \(page)")
      let state: PageState = isForgotten ? .shared : expected.state
      #expect(summary.guest.pageStates.run(at: UInt64(page * 4096))?.state == state)
    }
    #expect(
      summary.bytes == (try Lab.replay(stream, until: moment, for: destination).summary.bytes))
    #expect(summary.privatePages == UInt64(now.count { $0.state == .validated }))
    #expect(summary.guest.moment == moment)
    #expect(summary.guest.vcpus.isEmpty && summary.guest.services.isEmpty)
  }

  @Test("after some page records of an epoch just these pages are new")
  func somePagesAreNew() throws {
    let first = try SmallGuest.memory(
      of: Lab.replay(stream, until: GuestMoment(epoch: 1), for: destination).guest)
    // In epoch 2 every page that is or was validated and is another one now has a record.
    let changed = everyWay[0].indices.filter { page in
      let (before, now) = (everyWay[0][page], everyWay[1][page])
      return before.state == .validated && now.state != .validated
        || now.state == .validated && (before.state != .validated || before.byte != now.byte)
    }
    for count in [1, 10, changed.count] {
      let moment = GuestMoment(epoch: 2, pageRecords: UInt64(count))
      let bytes = try SmallGuest.memory(
        of: Lab.replay(stream, until: moment, for: destination).guest)
      let done = Set(changed.prefix(count))
      for page in everyWay[0].indices {
        let byte =
          done.contains(page)
          ? everyWay[1][page].state == .validated ? everyWay[1][page].byte : 0
          : first[page * 4096]
        #expect(bytes[page * 4096] == byte, "\(count) records, page \(page)")
      }
    }
    let beyond = GuestMoment(epoch: 2, pageRecords: UInt64(changed.count + 1))
    #expect(
      refusalCode { _ = try Lab.replay(stream, until: beyond, for: destination) } == .epochMissing)
  }

  @Test("a moment that the stream does not reach is refused")
  func aMomentThatIsNotThereIsRefused() throws {
    for moment in [GuestMoment(epoch: 4), GuestMoment(epoch: .max, pageRecords: .max)] {
      #expect(
        refusalCode { _ = try Lab.replay(stream, until: moment, for: destination) }
          == .epochMissing)
    }
  }

  @Test("what follows the moment is not read, and what precedes it is checked")
  func onlyWhatPrecedesIsChecked() throws {
    let moment = GuestMoment(epoch: 2)
    let end = Int(try Lab.replay(stream, until: moment, for: destination).summary.bytes)
    #expect(end < stream.count)
    let cut = Array(stream[..<end])
    #expect(try Lab.replay(cut, until: moment, for: destination).summary.bytes == UInt64(end))
    #expect(
      refusalCode { _ = try Lab.replay(Array(cut.dropLast(8)), until: moment, for: destination) }
        == .streamTruncated)
    // The end of the token is its tag.
    var damaged = cut
    damaged[end - 1] ^= 1
    #expect(
      refusalCode { _ = try Lab.replay(damaged, until: moment, for: destination) } == .epochTag)
  }
}
