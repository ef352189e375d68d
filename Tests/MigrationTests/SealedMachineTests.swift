import Bytes
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing

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
      .section(SectionHeader(.full, id: 9, name: "cpu", version: 12), body: [1, 2, 3, 4]))
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

  /// Number of a piece, bytes it says it has, and bytes it has.
  typealias Piece = (number: UInt32, says: UInt32, has: Int)

  @Test(
    "What is sealed must be just what is missing",
    arguments: [
      // No content for the block.
      [(3, 4, 4)], [(3, 4, 4), (1 << 31 | 1, 0, 0)],
      // None for the entry.
      [(1 << 31 | 1, 4096, 4096)], [(3, 3, 3), (1 << 31 | 1, 4096, 4096)],
      // Too little for the block, and too much.
      [(3, 4, 4), (1 << 31 | 1, 4095, 4095)], [(3, 4, 4), (1 << 31 | 1, 8192, 8192)],
      // Another block, a block that is not there, an entry that is none.
      [(3, 4, 4), (1 << 31 | 1, 4096, 4096), (1 << 31, 8192, 8192)],
      [(3, 4, 4), (1 << 31 | 1, 4096, 4096), (1 << 31 | 2, 4096, 4096)],
      [(3, 4, 4), (1 << 31 | 1, 4096, 4096), (.max, 0, 0)],
      [(3, 4, 4), (1 << 31 | 1, 4096, 4096), (2, 0, 0)],
      // Twice.
      [(3, 4, 4), (1 << 31 | 1, 4096, 4096), (1 << 31 | 1, 4096, 4096)],
      [(3, 4, 4), (1 << 31 | 1, 4096, 4096), (3, 4, 4)],
      // Not as long as said.
      [(3, 4, 4), (1 << 31 | 1, 4096, 4095)], [(3, 4, 4), (1 << 31 | 1, .max, 4096)],
    ] as [[Piece]])
  func aWrongPieceIsRefused(pieces: [Piece]) throws {
    #expect(try refusal(of: sealing(pieces)) == .machineSyntax)
  }

  @Test("The pieces that are missing are taken in any order")
  func rightPiecesAreTaken() throws {
    #expect(try refusal(of: sealing([(1 << 31 | 1, 4096, 4096), (3, 4, 4)])) == nil)
  }

  /// A stream whose source SVSM carries such pieces.
  private func sealing(_ pieces: [Piece]) throws -> [UInt8] {
    var blob: [UInt8] = []
    for piece in pieces {
      blob.append(bigEndian: piece.number)
      blob.append(bigEndian: piece.says)
      blob += [UInt8](repeating: 5, count: piece.has)
    }
    let guest = try guest()
    var state = try guest.trustedState()
    let service = try #require(state.services.firstIndex { $0.kind == .machine })
    state.services[service].blob = blob
    return try Lab.save(guest, holding: state, to: destination)
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
