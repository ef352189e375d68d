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

@Suite struct SealedMachineTests {
  private static let pageSize = 4096
  /// What a TPM answered: no two stretches are alike.
  private static let answer: [UInt8] = {
    var value: UInt64 = 41
    return (0..<pageSize).map { _ in
      value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(value >> 56)
    }
  }()
  /// A machine with registers of one vCPU: entry 3.
  private static let machine: MachineState = {
    var state = MachineState(machine: "pc")
    state.entries.append(
      // Of a version that is not looked into.
      .section(SectionHeader(.full, id: 9, name: "cpu", version: 11), body: [1, 2, 3, 4]))
    return state
  }()

  private let destination: SVSMInstance

  init() throws { destination = try Lab.instance(1) }

  /// A guest of two pages, and a block of device memory with the answer.
  private func guest(
    block: String = "tpm-crb-cmd", isMapped: Bool = false, machine: MachineState? = machine
  ) throws -> GuestReader {
    let scratch = try Scratch()
    let raw = try GuestReader(
      rawImage: try scratch.write("ram", [UInt8](repeating: 3, count: 2 * Self.pageSize)))
    var description = raw.description
    let size = UInt64(Self.pageSize)
    description.ramBlocks.append(try RAMBlock(name: block, size: size))
    if isMapped {
      description.map = try GuestMap(
        description.map.ranges + [MappedRange(block: 1, offset: 0, gpa: 0xfed4_0000, size: size)],
        blocks: description.ramBlocks)
      description.pageStates = try PageStateMap(
        joining: description.pageStates.runs + [PageRun(gpa: 0xfed4_0000, pages: 1, state: .shared)]
      )
    }
    description.machineState = machine?.encoded
    let memory = try TemporaryMemory(blockSizes: description.ramBlocks.map(\.size))
    try memory.write(block: 1, at: 0, Self.answer.span)
    return try memory.guest(description)
  }

  /// Whether 16 bytes of the answer stand anywhere in a stream.
  private func tells(_ stream: [UInt8]) -> Bool {
    // Any such 16 bytes cover 8 that begin at a multiple of 8.
    let pieces = Set(
      stride(from: 0, to: Self.pageSize, by: 8).map { Array(Self.answer[$0..<$0 + 8]) })
    return stream.indices.dropLast(7).contains { pieces.contains(Array(stream[$0..<$0 + 8])) }
  }

  /// The code with which a destination refuses a stream; nil when it loads it.
  private func refusal(of stream: [UInt8]) throws -> ErrorCode? {
    try Lab.verifier().verify(StreamInput(ArraySource(stream)), for: destination).refusal?.code
  }

  @Test("A TPM's buffer is nowhere in the clear, and comes back", arguments: [machine, nil])
  func aBufferTravelsSealed(machine: MachineState?) throws {
    let stream = try Lab.save(try guest(machine: machine), to: destination)
    #expect(!tells(stream))
    #expect(try Lab.verifier().verify(StreamInput(ArraySource(stream))).refusal == nil)
    #expect(try refusal(of: stream) == nil)
    let scratch = try Scratch()
    let loaded = try Lab.load(stream, for: destination, to: scratch["out"])
    #expect(loaded.guest.machineState == machine?.encoded)
    #expect(loaded.guest.services.isEmpty)
    #expect(try scratch.read("out/ram-1.bin") == Self.answer)
  }

  @Test(
    "A block of another device is shared memory as ever, and one that is mapped is the guest's",
    arguments: [("vga.vram", false), ("xtpm-crb-cmd", false), ("tpm-crb-cmd", true)])
  func otherBlocksAreShared(name: String, isMapped: Bool) throws {
    let stream = try Lab.save(try guest(block: name, isMapped: isMapped), to: destination)
    #expect(tells(stream))
    let scratch = try Scratch()
    try Lab.load(stream, for: destination, to: scratch["out"])
    #expect(try scratch.read("out/ram-1.bin") == Self.answer)
  }

  @Test("Shared content for a sealed block is refused, as is its absence from what is sealed")
  func aBufferInTheClearIsRefused() throws {
    var stream = try Lab.save(try guest(block: "xpm-crb-cmd"), to: destination)
    let name = Array("xpm-crb-cmd".utf8)
    while let range = stream.firstRange(of: name) { stream[range.lowerBound] = UInt8(ascii: "t") }
    #expect(try refusal(of: stream) == .mapSharedAtPrivate)
  }

  /// Number of a piece, bytes it says it has, and bytes it has; what it is of, where not what the number
  /// says.
  struct Piece: Sendable {
    var number: UInt32
    var says: UInt32
    var has: Int
    var name: String
    var instance: UInt32 = 0
    var version: UInt32

    init(
      _ number: UInt32, _ says: UInt32, _ has: Int, name: String? = nil, instance: UInt32 = 0,
      version: UInt32? = nil
    ) {
      (self.number, self.says, self.has, self.instance) = (number, says, has, instance)
      let isBlock = number >> 31 == 1
      self.name = name ?? (isBlock ? "tpm-crb-cmd" : "cpu")
      self.version = version ?? (isBlock ? 0 : 11)
    }

    var bytes: [UInt8] {
      var bytes: [UInt8] = []
      for number in [number, instance, version, says] { bytes.append(bigEndian: number) }
      return bytes + [UInt8(name.utf8.count), 0, 0, 0] + Array(name.utf8)
        + [UInt8](repeating: 5, count: has)
    }
  }

  private static let registers = Piece(3, 4, 4)
  private static let buffer = Piece(1 << 31 | 1, 4096, 4096)

  @Test(
    "What is sealed must be just what is missing",
    arguments: [
      // No content for the block, none for the entry.
      [registers], [registers, Piece(1 << 31 | 1, 0, 0)], [buffer], [Piece(3, 3, 3), buffer],
      // Too little for the block, and too much.
      [registers, Piece(1 << 31 | 1, 4095, 4095)], [registers, Piece(1 << 31 | 1, 8192, 8192)],
      // Another block, a block that is not there, an entry that is none.
      [registers, buffer, Piece(1 << 31, 8192, 8192)],
      [registers, buffer, Piece(1 << 31 | 2, 4096, 4096)],
      [registers, buffer, Piece(.max, 0, 0)], [registers, buffer, Piece(2, 0, 0)],
      // Twice.
      [registers, buffer, buffer], [registers, buffer, registers],
      // Not as long as said.
      [registers, Piece(1 << 31 | 1, 4096, 4095)], [registers, Piece(1 << 31 | 1, .max, 4096)],
      // Of something else that has the number now.
      [Piece(3, 4, 4, name: "cpu_common"), buffer], [Piece(3, 4, 4, instance: 1), buffer],
      [Piece(3, 4, 4, version: 12), buffer], [Piece(3, 4, 4, name: ""), buffer],
      [registers, Piece(1 << 31 | 1, 4096, 4096, name: "tpm-crb-cmc")],
      [registers, Piece(1 << 31 | 1, 4096, 4096, version: 1)],
    ] as [[Piece]])
  func aWrongPieceIsRefused(pieces: [Piece]) throws {
    #expect(try refusal(of: sealing(pieces)) == .machineSyntax)
  }

  @Test("The pieces that are missing are taken in any order")
  func rightPiecesAreTaken() throws {
    #expect(try refusal(of: sealing([Self.buffer, Self.registers])) == nil)
  }

  /// A stream whose source SVSM carries such pieces.
  private func sealing(_ pieces: [Piece]) throws -> [UInt8] {
    try carrying { $0.blob = pieces.flatMap(\.bytes) }
  }

  /// A stream of whose service of kind 2 something is changed.
  private func carrying(_ change: (inout ServiceState) -> Void) throws -> [UInt8] {
    let guest = try guest()
    var state = try guest.trustedState()
    let service = try #require(state.services.firstIndex { $0.kind == .machine })
    change(&state.services[service])
    return try Lab.save(guest, holding: state, to: destination)
  }

  @Test(
    "What the SVSM carries is of one version, mandatory, never empty, and made anew by each source")
  func theServiceIsAsASourceMakesIt() throws {
    #expect(try refusal(of: carrying { _ in }) == nil)
    for version in [0, 1, 3] as [UInt32] {
      #expect(try refusal(of: carrying { $0.version = version }) == .serviceUnknown)
    }
    #expect(try refusal(of: carrying { $0.isMandatory = false }) == .serviceSyntax)
    #expect(try refusal(of: carrying { $0.generation = 1 }) == .serviceSyntax)
    #expect(try refusal(of: carrying { $0.blob = [] }) == .serviceSyntax)
    // Reserved bytes.
    #expect(try refusal(of: carrying { $0.blob[18] = 1 }) == .machineSyntax)
  }

  @Test("A block too large to be sealed is refused before it is read, at the source")
  func aLargeBlockIsRefused() throws {
    let most = UInt64(ServiceState.maximumSize) - 4096
    for (sizes, refusal) in [
      ([most], nil), ([most, 4096], .serviceSyntax), ([1 << 42], .serviceSyntax),
    ] as [([UInt64], ErrorCode?)] {
      var description = try guest().description
      description.ramBlocks[1...] = try sizes.enumerated().map {
        try RAMBlock(name: "tpm-\($0)", size: $1)
      }[...]
      let memory = try TemporaryMemory(blockSizes: description.ramBlocks.map(\.size))
      let guest = try memory.guest(description)
      #expect(refusalCode { _ = try guest.trustedState() } == refusal)
    }
  }
}
