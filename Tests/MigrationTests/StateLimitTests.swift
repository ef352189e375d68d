import Attacks
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

/// What a guest may have besides its memory has one limit for all of its kind together, since both ends
/// hold all of it at once.
@Suite struct StateLimitTests {
  private let destination: SVSMInstance

  init() throws { destination = try Lab.instance(1) }

  private static func service(_ kind: UInt16, _ size: Int) throws -> ServiceState {
    try ServiceState(
      kind: .init(rawValue: kind), isMandatory: false, version: 1, generation: 1,
      blob: [UInt8](repeating: 5, count: size))
  }

  /// The stream of a small guest whose SVSM holds something else.
  private func stream(_ change: (inout TrustedGuestState) throws -> Void) throws -> [UInt8] {
    let guest = try SmallGuest.make([(.validated, 1), (.shared, 2)])
    var state = try guest.trustedState()
    try change(&state)
    return try Lab.save(guest, holding: state, to: destination)
  }

  private func refusal(of stream: [UInt8]) throws -> MigrationError? {
    try Lab.verifier().verify(StreamInput(ArraySource(stream)), for: destination).refusal
  }

  /// The refusal of a stream by a source that sends its service twice, the second time as another kind.
  private func refusal(ofTwinsIn whole: [UInt8]) throws -> MigrationError? {
    var materials = Materials(try Materials.Input(whole))
    materials.instance = destination
    let output = CollectedOutput()
    try Recipe(
      parsing: """
        copy service after service as twin
        rogue
        forge twin.plaintext.kind 8002
        """
    ).make(from: materials, to: output)
    return try refusal(of: output.bytes)
  }

  @Test("States of services as long together as they may be migrate, and no byte more leaves")
  func aSourceRefusesLongerServices() throws {
    let half = ServiceState.maximumSize / 2
    let most = try stream {
      $0.services = [try Self.service(0x8001, half), try Self.service(0x8002, half)]
    }
    #expect(try refusal(of: most) == nil)
    #expect(
      refusalCode {
        _ = try stream {
          $0.services = [try Self.service(0x8001, half), try Self.service(0x8002, half + 1)]
        }
      } == .serviceSyntax)
    #expect(
      refusalCode {
        _ = try stream {
          $0.services = try (0...ServiceState.maximumCount).map {
            try Self.service(0x8000 + UInt16($0), 1)
          }
        }
      } == .guestShape)
  }

  @Test("A destination refuses services of a lying source that are too long together")
  func aDestinationRefusesLongerServices() throws {
    let whole = try stream {
      $0.services = [try Self.service(0x8001, ServiceState.maximumSize / 2 + 1)]
    }
    let refusal = try refusal(ofTwinsIn: whole)
    #expect(refusal?.code == .serviceSyntax)
    #expect(refusal?.expected?.description.contains("\(ServiceState.maximumSize)") == true)
    #expect(refusal?.offset != nil)
  }

  @Test("A destination stops at the first vCPU more than a guest may have")
  func tooManyVCPUsAreRefusedWhereTheyCome() throws {
    let whole = try stream {
      $0.vcpus = try (0...VCPUState.maximumCount).map {
        var vcpu = try GuestReader.resetVCPU()
        vcpu.apicID = UInt32($0)
        return vcpu
      }
    }
    let refusal = try refusal(of: whole)
    #expect(refusal?.code == .guestShape)
    #expect(refusal?.place == .section("snp-vcpu"))
  }

  /// A guest with as many vCPUs as there may be, and services that take these bytes.
  private func stream(ofManyAnd services: [Int]) throws -> [UInt8] {
    try stream {
      $0.vcpus = try (0..<VCPUState.maximumCount).map {
        var vcpu = try GuestReader.resetVCPU()
        vcpu.apicID = UInt32($0)
        return vcpu
      }
      $0.services = try services.enumerated().map { try Self.service(0x8001 + UInt16($0), $1) }
    }
  }

  @Test("vCPUs, services and page states have one room at both ends, though each alone would fit")
  func allStateTogetherIsLimited() throws {
    // The guest has two runs of page states.
    let rest = StateRoom.size - VCPUState.maximumCount * StateRoom.vcpu - 2 * StateRoom.run
    #expect(try refusal(of: stream(ofManyAnd: [rest - 7, 7])) == nil)
    #expect(refusalCode { _ = try stream(ofManyAnd: [rest - 7, 8]) } == .guestShape)

    let refusal = try refusal(ofTwinsIn: stream(ofManyAnd: [rest / 2 + 1]))
    #expect(refusal?.code == .guestShape)
    #expect(refusal?.expected?.description.contains("\(StateRoom.size)") == true)
  }

  @Test("each kind reaches its own limit only where the others are small")
  func theRoomIsForAllKinds() {
    func code(_ vcpus: Int, _ services: Int, _ runs: Int) -> ErrorCode? {
      refusalCode { try StateRoom.require(vcpus: vcpus, services: services, runs: runs) }
    }
    #expect(code(0, 0, PageStateMap.maximumCount) == nil)
    #expect(code(1, 0, PageStateMap.maximumCount) == .guestShape)
    #expect(code(VCPUState.maximumCount, 2 << 20, 0) == nil)
    #expect(code(VCPUState.maximumCount, 2 << 20, 1) == .guestShape)
  }

  @Test("A machine state is limited together with all of its bodies, as its file in a bundle is")
  func aMachineIsLimitedAsAWhole() throws {
    func state(_ size: Int) -> MachineState {
      var state = MachineState(machine: "pc")
      state.entries.append(
        .section(
          SectionHeader(.full, id: 9, name: "d", version: 1),
          body: [UInt8](repeating: 1, count: size)))
      return state
    }
    let most = MachineState.maximumSize - state(0).encoded.count
    #expect(try MachineState(state(most).encoded) == state(most))
    #expect(refusalCode { _ = try MachineState(state(most + 1).encoded) } == .machineSyntax)
  }
}
