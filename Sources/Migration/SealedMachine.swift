internal import Bytes
public import Guest
internal import SEVSNP

/// What an SVSM carries of a machine: bodies of sections, and content of RAM blocks, that are the
/// guest's own. The blob of the service of kind 2 (`Formats/stream.md`, "snp-machine").
struct SealedMachine {
  /// Where a piece belongs.
  enum Owner: Hashable {
    /// The body of this entry of the machine state.
    case entry(Int)
    /// The whole content of this RAM block of the block list.
    case block(Int)

    /// Tells a block's number from an entry's.
    private static let blockBit: UInt32 = 1 << 31

    init(number: UInt32) {
      self =
        number & Self.blockBit == 0 ? .entry(Int(number)) : .block(Int(number & ~Self.blockBit))
    }

    var number: UInt32 {
      switch self {
      case .entry(let index): UInt32(index)
      case .block(let index): UInt32(index) | Self.blockBit
      }
    }
  }

  private(set) var pieces: [(owner: Owner, content: [UInt8])] = []

  init() {}

  /// - Throws: `SERVICE-SYNTAX` when all pieces together are longer than a service's state may be.
  mutating func append(_ owner: Owner, _ content: [UInt8]) throws(MigrationError) {
    try requireRoom(for: content.count)
    pieces.append((owner, content))
  }

  /// Whether a piece of `size` bytes can be added: to be asked before one is made.
  /// - Throws: `SERVICE-SYNTAX`.
  func requireRoom(for size: Int) throws(MigrationError) {
    let (total, overflow) = encodedSize.addingReportingOverflow(size)
    guard !overflow, total <= ServiceState.maximumSize - MachineState.sealedLayout.size else {
      throw MigrationError(
        .serviceSyntax, "what the SVSM is to carry of the machine is too long",
        expected: "at most \(ServiceState.maximumSize) bytes together")
    }
  }

  private var encodedSize: Int {
    pieces.reduce(0) { $0 + MachineState.sealedLayout.size + $1.content.count }
  }

  /// The blob; nil when there is nothing to carry.
  var encoded: [UInt8]? {
    if pieces.isEmpty { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(encodedSize)
    for (owner, content) in pieces {
      bytes.append(bigEndian: owner.number)
      bytes.append(bigEndian: UInt32(content.count))
      bytes += content
    }
    return bytes
  }

  /// Decodes a blob.
  /// - Throws: `MACHINE-SYNTAX`.
  init(_ blob: [UInt8]) throws(MigrationError) {
    let span = blob.span
    var cursor = ByteCursor(span)
    do throws(MigrationError) {
      while cursor.remaining > 0 {
        let owner = Owner(number: try cursor.read())
        pieces.append((owner, try cursor.takeArray(Int(try cursor.read(UInt32.self)))))
      }
    } catch {
      var error = error
      // No byte of the stream: it was sealed.
      (error.code, error.offset) = (.machineSyntax, nil)
      throw error.inSection("snp-machine")
    }
  }
}

extension GuestMap {
  /// Those of `blocks` that are no memory of the guest's but the buffer of its TPM's interface: QEMU
  /// has one in a RAM block of its own (`tpm-crb-cmd`), which is mapped nowhere here. What the TPM
  /// answered last is in it. They travel sealed, and not as shared memory.
  public func sealedBlocks(of blocks: [Guest.RAMBlock]) -> Set<Int> {
    Set(blocks.indices.filter { MachineState.isOfTPM(blocks[$0].name.utf8) })
      .subtracting(ranges.map(\.block))
  }
}

extension GuestReader {
  /// What the SVSM is to carry of the machine.
  /// - Throws: `MACHINE-SYNTAX`; `SERVICE-SYNTAX` when it is too long; `IO-READ`.
  func sealedMachine() throws(MigrationError) -> SealedMachine {
    var sealed = SealedMachine()
    for (index, entry) in (try machine()?.entries ?? []).enumerated()
    where MachineState.place(of: entry) == .sealed {
      switch entry {
      case .section(_, let body), .rest(let body): try sealed.append(.entry(index), body)
      case .command, .ram: continue
      }
    }
    let blocks = description.ramBlocks
    for block in description.map.sealedBlocks(of: blocks).sorted() {
      // A size is at most 2^52.
      let size = Int(blocks[block].size)
      try sealed.requireRoom(for: size)
      var content = [UInt8](repeating: 0, count: size)
      var span = content.mutableSpan
      try read(block: block, at: 0, into: &span)
      try sealed.append(.block(block), content)
    }
    return sealed
  }
}
