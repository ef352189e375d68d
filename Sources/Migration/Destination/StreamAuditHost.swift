internal import Errors
internal import QEMUStream
internal import SVSM
internal import Wire

/// The records that the host judges, and the comparison with the restored state at the end.
extension StreamAudit {
  mutating func take(_ record: RAMRecord) throws(MigrationError) {
    if case .blockList = record { host.take(stream.reader.guestBlocks) }
    guard let page = record.page else { return }
    var gpa = host.address(of: page)
    if let address = gpa, try records?.holdsPrivatePage(at: address) != true { gpa = nil }
    let findings = findings
    _ = try host.take(page, privateAt: gpa, at: stream.reader.payloadOffset) {
      (error) throws(MigrationError) in try findings.note(error.within(.ram))
    }
  }

  mutating func takeDevice(_ entry: Int) throws(MigrationError) {
    guard instance != nil else { return }
    do throws(MigrationError) {
      let payload = payload
      try host.frame?.fill(entry, payload, from: .section)
    } catch {
      isHostUnknown = true
      try findings.note(named(error))
    }
  }

  /// Compares what a destination would restore with what the host knows, as a load does at its end.
  /// Without keys it compares what is in the clear.
  mutating func checkHost() throws(MigrationError) {
    let offset = stream.reader.payloadOffset
    if isFollowed, instance == nil, !isHostUnknown {
      do throws(MigrationError) {
        try host.checkAlone(records?.final ?? FinalCounts(), at: offset)
      } catch {
        try findings.note(error)
      }
    }
    guard let restored, isFollowed else { return }
    guard !isHostUnknown, host.isMapped, host.machine != nil else {
      return findings.obstruct(
        .pageStates, .machineState, reason: "the host's memory map or machine state was refused",
        needs: "the sections of the host as they were sealed")
    }
    do throws(MigrationError) {
      _ = try host.describe(restored) { _, _ in }
      findings.look(at: .machineState)
      _ = try host.finish(restored, at: offset) { _ in }
      findings.look(at: .pageStates)
    } catch {
      try findings.note(error)
    }
  }
}
