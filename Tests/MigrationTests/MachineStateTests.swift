import Bytes
import Migration
import QEMUStream
import TestSupport
import Testing

@Suite struct MachineStateTests {
  /// A state with every kind of entry.
  private static let state: MachineState = {
    var state = MachineState(machine: "pc-q35-10.0")
    state.configuration?.uuid = Array(1...16)
    let parts: [SectionHeader.Kind] = [.start, .part, .end]
    state.entries += parts.map {
      .section(SectionHeader($0, id: 9, name: "slirp", version: 4), body: [$0.rawValue, 7])
    }
    state.entries.append(
      .section(
        SectionHeader(.full, id: 3, name: "cpu", instance: 1, version: 12), body: [1, 2, 3, 4]))
    state.entries.append(.command(StreamCommand(.switchoverStart)))
    state.entries.append(
      .section(SectionHeader(.full, id: 4, name: "timer", version: 2), body: []))
    state.entries.append(.rest([4, 0, 0, 0, 7]))
    return state
  }()

  @Test func aStateIsDecodedAsItWasEncoded() throws {
    #expect(try MachineState(Self.state.encoded) == Self.state)
    var bare = MachineState()
    bare.hasFooters = false
    bare.entries = Array(MachineState(machine: "x").entries.prefix(2))
    #expect(try MachineState(bare.encoded) == bare)
  }

  @Test func aCutStateIsRefused() {
    let whole = Self.state.encoded
    for length in whole.indices {
      #expect(refusalCode { _ = try MachineState(Array(whole[..<length])) } == .machineSyntax)
    }
  }

  @Test func noByteOfAStateTrapsAReader() throws {
    let whole = Self.state.encoded
    for place in whole.indices {
      for value in [0, 1, 0x7f, 0x80, 0xff, whole[place] ^ 1] as [UInt8] {
        var bytes = whole
        bytes[place] = value
        let code = refusalCode { _ = try MachineState(bytes) }
        #expect([nil, .machineSyntax].contains(code))
      }
    }
  }

  /// Rows: what is done to the entries.
  @Test(
    arguments: [
      [.ram(SectionHeader(.part, id: 1, name: "ram", version: 4))],
      [.section(SectionHeader(.full, id: 7, name: "ram", version: 4), body: [])],
      [.section(SectionHeader(.full, id: 7, name: "snp-commit", version: 1), body: [])],
      [.section(SectionHeader(.part, id: 7, name: "slirp", version: 1), body: [])],
      [
        .section(SectionHeader(.full, id: 7, name: "a", version: 1), body: []),
        .section(SectionHeader(.full, id: 8, name: "a", version: 1), body: []),
      ],
      [.rest([1]), .command(StreamCommand(.switchoverStart))],
    ] as [[MachineState.Entry]])
  func entriesThatCannotBeOneStreamAreRefused(added: [MachineState.Entry]) {
    var state = MachineState(machine: "pc")
    state.entries += added
    #expect(refusalCode { _ = try MachineState(state.encoded) } == .machineSyntax)
  }
}
