import Errors
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SVSM
import TestSupport
import Testing
import Wire

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
        SectionHeader(.full, id: 3, name: "cpu", instance: 1, version: 11),
        body: [0xa1, 0xa2, 0xa3, 0xa4]))
    // Its buffer holds what the TPM answered last.
    state.entries.append(
      .section(
        SectionHeader(.full, id: 5, name: "tpm-tis", version: 0), body: [0xc1, 0xc2, 0xc3, 0xc4]))
    state.entries.append(.command(StreamCommand(.switchoverStart)))
    state.entries.append(
      .section(SectionHeader(.full, id: 4, name: "timer", version: 2), body: []))
    // Another device of that name, as some of QEMU's are.
    var second = SectionHeader(.full, id: 6, name: "timer", version: 2)
    second.repetition = 1
    state.entries.append(.section(second, body: [0xd1, 0xd2]))
    state.entries.append(.rest([0xb1, 0, 0, 0, 0xb2]))
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

  /// A stream of a guest with such a machine, and its destination.
  private func stream() throws -> (bytes: [UInt8], destination: SVSMInstance) {
    let scratch = try Scratch()
    let raw = try GuestReader(
      rawImage: try scratch.write("ram", [UInt8](repeating: 3, count: 8192)))
    var description = raw.description
    description.machineState = Self.state.encoded
    let memory = try TemporaryMemory(blockSizes: [8192])
    let destination = try Lab.instance(1)
    return (try Lab.save(try memory.guest(description), to: destination), destination)
  }

  @Test func aMachineTravelsAndItsSealedPartIsNotInTheClear() throws {
    let (stream, destination) = try stream()
    let scratch = try Scratch()
    let loaded = try Lab.load(stream, for: destination, to: scratch["out"])
    #expect(loaded.guest.machineState == Self.state.encoded)
    #expect(loaded.guest.services.isEmpty)
    #expect(try Lab.verifier().verify(StreamInput(ArraySource(stream))).refusal == nil)
    // The body of the vCPU's section, and the rest of the stream.
    let machine = try #require(stream.firstRange(of: Array("snp-machine".utf8))).lowerBound
    let final = try #require(stream.firstRange(of: Array("snp-vcpu".utf8))).lowerBound
    for secret in [[0xa1, 0xa2, 0xa3, 0xa4], [0xc1, 0xc2, 0xc3, 0xc4], [0xb1, 0, 0, 0, 0xb2]]
      as [[UInt8]]
    {
      #expect(Self.state.encoded.firstRange(of: secret) != nil)
      #expect(stream[machine..<final].firstRange(of: secret) == nil)
    }
  }

  /// Each device is described, each is looked up when it is saved, and put in its place by a load.
  @Test func aMachineOfManyDevicesTravels() throws {
    var state = MachineState(machine: "pc")
    var described = VMDescription()
    for index in 0..<20_000 {
      let name = SectionName("d\(index)") ?? "d"
      let kept = index % 4 == 0 ? SectionName("tpm-\(index)") ?? "d" : name
      state.entries.append(
        .section(
          SectionHeader(
            .full, id: UInt32(index + 9), name: kept, instance: UInt32(index), version: 1),
          body: [UInt8(truncatingIfNeeded: index)]))
      described.devices.append(
        .init(
          name: "\(kept)", instance: UInt32(index),
          body: .init("x", version: 1, fields: [.init("a", type: "uint8", size: 1)])))
    }
    var record: [UInt8] = []
    record.append(described)
    state.description = Array(record.dropFirst(5))
    let scratch = try Scratch()
    let raw = try GuestReader(
      rawImage: try scratch.write("ram", [UInt8](repeating: 3, count: 8192)))
    var description = raw.description
    description.machineState = state.encoded
    let destination = try Lab.instance(1)
    let stream = try Lab.save(
      try TemporaryMemory(blockSizes: [8192]).guest(description), to: destination)
    let loaded = try Lab.load(stream, for: destination, to: scratch["out"])
    #expect(loaded.guest.machineState == state.encoded)
    #expect(try Lab.verifier().verify(StreamInput(ArraySource(stream))).refusal == nil)
  }

  @Test func aChangedByteOfAMachineIsRefused() throws {
    let (whole, destination) = try stream()
    let machine = try #require(whole.firstRange(of: Array("snp-machine".utf8))).lowerBound
    let final = try #require(whole.firstRange(of: Array("snp-vcpu".utf8))).lowerBound
    for place in machine..<final {
      var stream = whole
      stream[place] ^= 1 << UInt8(place & 7)
      let input = StreamInput(ArraySource(stream))
      let refusal = try Lab.verifier().verify(input, for: destination).refusal
      if refusal == nil { Issue.record("byte \(place) may change unseen") }
    }
  }

  /// Rows: what is done to the entries.
  @Test(
    arguments: [
      [.ram(SectionHeader(.part, id: 1, name: "ram", version: 4))],
      [.section(SectionHeader(.full, id: 7, name: "ram", version: 4), body: [])],
      [.section(SectionHeader(.full, id: 7, name: "snp-commit", version: 1), body: [])],
      [.section(SectionHeader(.part, id: 7, name: "slirp", version: 1), body: [])],
      // What is the guest's own is not sealed in parts.
      [.section(SectionHeader(.start, id: 7, name: "cpu", version: 12), body: [])],
      [.section(SectionHeader(.start, id: 7, name: "tpm-x", version: 1), body: [])],
      [
        .section(SectionHeader(.full, id: 7, name: "a", version: 1), body: []),
        .section(SectionHeader(.full, id: 7, name: "b", version: 1), body: []),
      ],
      [.rest([1]), .command(StreamCommand(.switchoverStart))],
    ] as [[MachineState.Entry]])
  func entriesThatCannotBeOneStreamAreRefused(added: [MachineState.Entry]) {
    var state = MachineState(machine: "pc")
    state.entries += added
    #expect(refusalCode { _ = try MachineState(state.encoded) } == .machineSyntax)
  }

  /// Rows: index of the entry in `state`, places that are not its own.
  @Test(
    "A body is taken from its own place alone: registers and a TPM's state from what the SVSM carries",
    arguments: [
      (0, [0, 1, 2]), (3, [1, 2, 3]), (6, [0, 1, 3]), (7, [0, 1, 3]), (8, [1, 2, 3]),
      (9, [0, 2, 3]),
      (10, [1, 2, 3]), (11, [0, 1, 3]),
    ] as [(Int, [UInt8])])
  func aBodyIsTakenFromItsPlaceAlone(entry: Int, places: [UInt8]) throws {
    let (whole, destination) = try stream()
    // Of the section's body: where each entry begins.
    let body = try #require(whole.firstRange(of: Array("snp-machine".utf8))).upperBound + 8
    func number(_ place: Int) -> Int { whole[place..<place + 4].reduce(0) { $0 << 8 | Int($1) } }
    var place = body + 24 + number(body + 12) + number(body + 16)
    for _ in 0..<entry {
      place += 20 + Int(whole[place + 2]) + (whole[place + 1] == 0 ? number(place + 16) : 0)
    }
    for wrong in places {
      var stream = whole
      #expect(stream[place + 1] != wrong)
      stream[place + 1] = wrong
      let verdict = try Lab.verifier().verify(StreamInput(ArraySource(stream)), for: destination)
      #expect(verdict.refusal?.code == .machineSyntax, "entry \(entry) in place \(wrong)")
    }
  }
}
