import Errors
import FileIO
import Import
import Inspection
import QEMUStream
import TestSupport
import Testing
import Threads

/// What is kept of a stream's commands.
@Suite struct CommandFactsTests {
  @Test("Of a long payload only what tells it from another one is kept")
  func longPayloadsAreHashed() throws {
    func facts(_ payload: [UInt8]) throws -> CommandFacts {
      try CommandFacts(StreamCommand(.postcopyRAMDiscard, payload: payload))
    }
    let most = [UInt8](repeating: 5, count: CommandFacts.payloadLimit)
    #expect(try facts(most).payload == .whole(most))
    var long = [UInt8](repeating: 5, count: 65_535)
    let first = try facts(long)
    guard case .sha256(let hash) = first.payload else {
      Issue.record("\(first)")
      return
    }
    #expect(hash.count == 32)
    #expect(try facts(long) == first)
    #expect(try facts(long.dropLast()) != first)
    long[65_534] = 6
    #expect(try facts(long) != first)
  }

  /// 1024 commands of 64 KiB are 64 MiB.
  @Test("An inspection keeps no long payload, and no command after the first 1024")
  func commandsAreKeptInShort() throws {
    var payload: [UInt8] = [0, 3] + Array("ram".utf8) + [0]
    for _ in 0..<100 { payload += [UInt8](repeating: 0, count: 14) + [0x10, 0] }
    var command: [UInt8] = [8, 0, 6, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    command += payload
    var bytes = Array("QEVM".utf8) + [0, 0, 0, 3]
    bytes += [1, 0, 0, 0, 3, 3] + Array("ram".utf8) + [0, 0, 0, 0, 0, 0, 0, 4]
    bytes += [0, 0, 0, 0, 0, 0, 0x10, 4, 3] + Array("ram".utf8) + [0, 0, 0, 0, 0, 0, 0x10, 0]
    bytes += [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7E, 0, 0, 0, 3]
    for _ in 0..<1100 { bytes += command }
    bytes += [3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 3] + Array("ram".utf8) + [0]
    bytes += [0, 0, 0, 0, 0, 0, 0, 0x10, 0x7E, 0, 0, 0, 3, 0]
    let scratch = try Scratch()
    let found = try QEMUInspector.inspect(
      QEMUInput(InputFile(scratch.write("stream", bytes)), at: StreamPlace()), again: nil,
      options: InspectionOptions(), crew: WorkCrew(jobs: 1)
    ) { _ in }
    #expect(found.refusal == nil)
    #expect(found.commands.count == 1024)
    let kept = try CommandFacts(StreamCommand(.postcopyRAMDiscard, payload: payload))
    #expect(found.commands.allSatisfy { $0 == kept })
  }
}
