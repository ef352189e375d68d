internal import Errors
package import Guest
internal import QEMUStream
internal import SEVSNP
internal import Wire

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

  /// What a piece belongs to, by the names that QEMU has for it: a host that calls the entry or block
  /// otherwise is found out.
  struct Identity: Equatable {
    /// Of the section or block; empty for the rest of a stream.
    var name: [UInt8] = []
    var instance: UInt32 = 0
    var version: UInt32 = 0

    init(_ header: SectionHeader) {
      (name, instance, version) = (header.name.bytes, header.instance, header.version)
    }

    init(_ block: Guest.RAMBlock) { name = Array(block.name.utf8) }

    init(name: [UInt8] = [], instance: UInt32 = 0, version: UInt32 = 0) {
      (self.name, self.instance, self.version) = (name, instance, version)
    }
  }

  struct Piece {
    var owner: Owner
    var identity: Identity
    var content: [UInt8]

    var encodedSize: Int { MachineState.sealedLayout.size + identity.name.count + content.count }
  }

  /// Version of the blob's format, as the service has it.
  static let version: UInt32 = 2

  private(set) var pieces: [Piece] = []
  /// Bytes of the blob that `append` makes.
  private var encodedSize = 0

  init() {}

  /// - Throws: `SERVICE-SYNTAX` when all pieces together are longer than a service's state may be.
  mutating func append(_ piece: Piece) throws(MigrationError) {
    try requireRoom(for: piece.identity, piece.content.count)
    pieces.append(piece)
    encodedSize += piece.encodedSize
  }

  /// Whether a piece with `size` bytes of content can be added: to be asked before one is made.
  /// - Throws: `SERVICE-SYNTAX`.
  func requireRoom(for identity: Identity, _ size: Int) throws(MigrationError) {
    let room =
      ServiceState.maximumSize - encodedSize - MachineState.sealedLayout.size - identity.name.count
    guard size <= room else {
      throw MigrationError(
        .serviceSyntax, "what the SVSM is to carry of the machine is too long",
        expected: "at most \(ServiceState.maximumSize) bytes together")
    }
  }

  /// The blob; nil when there is nothing to carry.
  var encoded: [UInt8]? {
    if pieces.isEmpty { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(encodedSize)
    for piece in pieces {
      bytes.append(bigEndian: piece.owner.number)
      bytes.append(bigEndian: piece.identity.instance)
      bytes.append(bigEndian: piece.identity.version)
      bytes.append(bigEndian: UInt32(piece.content.count))
      bytes += [UInt8(piece.identity.name.count), 0, 0, 0]
      bytes += piece.identity.name + piece.content
    }
    return bytes
  }

  /// Decodes a blob.
  /// - Throws: `MACHINE-SYNTAX`.
  init(_ blob: [UInt8]) throws(MigrationError) {
    let span = blob.span
    var cursor = ByteCursor(span)
    do throws(MigrationError) {
      while cursor.remaining > 0 { pieces.append(try Self.piece(from: &cursor)) }
    } catch {
      var error = error
      // No byte of the stream: it was sealed.
      (error.code, error.offset) = (.machineSyntax, nil)
      throw error.within(.machine)
    }
  }

  private static func piece(from cursor: inout ByteCursor) throws(MigrationError) -> Piece {
    let owner = Owner(number: try cursor.read())
    let (instance, version) = (try cursor.read(UInt32.self), try cursor.read(UInt32.self))
    let length = Int(try cursor.read(UInt32.self))
    let nameLength = Int(try cursor.read(UInt8.self))
    guard try cursor.takeArray(3) == [0, 0, 0] else {
      throw MigrationError(.machineSyntax, "reserved bytes of a piece are not zero")
    }
    let name = try cursor.takeArray(nameLength)
    return Piece(
      owner: owner, identity: Identity(name: name, instance: instance, version: version),
      content: try cursor.takeArray(length))
  }
}

extension GuestMap {
  /// Those of `blocks` that are no memory of the guest's but the buffer of its TPM's interface: QEMU
  /// has one in a RAM block of its own (`tpm-crb-cmd`), which is mapped nowhere here. What the TPM
  /// answered last is in it. They travel sealed, and not as shared memory.
  package func sealedBlocks(of blocks: [Guest.RAMBlock]) -> Set<Int> {
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
      case .section(let header, let body):
        try sealed.append(
          .init(owner: .entry(index), identity: .init(header), content: body))
      case .rest(let body):
        try sealed.append(.init(owner: .entry(index), identity: .init(), content: body))
      case .command, .ram: continue
      }
    }
    let blocks = description.ramBlocks
    for block in description.map.sealedBlocks(of: blocks).sorted() {
      // A size is at most 2^52.
      let size = Int(blocks[block].size)
      let identity = SealedMachine.Identity(blocks[block])
      try sealed.requireRoom(for: identity, size)
      var content = [UInt8](repeating: 0, count: size)
      var span = content.mutableSpan
      try read(block: block, at: 0, into: &span)
      try sealed.append(.init(owner: .block(block), identity: identity, content: content))
    }
    return sealed
  }
}
