internal import Errors
package import Guest
internal import QEMUStream
internal import SEVSNP
package import Wire

/// What an SVSM carries of a machine: bodies of sections, and content of RAM blocks, that are the
/// guest's own. The blob of the service of kind 2 (`Formats/stream.md`, "snp-machine").
package struct SealedMachine {
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

  /// The fixed part of a piece; its name and its content follow.
  package struct Layout: WireRecord {
    package static let name = "machine-sealed"

    /// Of the entry; with bit 31 set, of the RAM block.
    package var number: BE32
    /// Of the section, else 0.
    package var instance: BE32
    /// Of the section, else 0.
    package var version: BE32
    /// Bytes of content.
    package var length: BE32
    /// Bytes of the name, of the section or block; 0 of the rest.
    package var nameLength: U8
    /// Zero.
    package var reserved: WireBytes<3>
  }

  struct Piece {
    var owner: Owner
    var identity: Identity
    var content: [UInt8]

    var encodedSize: Int { Layout.size + identity.name.count + content.count }
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
      ServiceState.maximumSize - encodedSize - Layout.size - identity.name.count
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
      bytes.append(
        Layout(
          number: BE32(piece.owner.number), instance: BE32(piece.identity.instance),
          version: BE32(piece.identity.version), length: BE32(UInt32(piece.content.count)),
          nameLength: U8(UInt8(piece.identity.name.count)), reserved: WireBytes()))
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
    let record = try cursor.read(Layout.self)
    guard record.reserved.isZero else {
      throw MigrationError(.machineSyntax, "reserved bytes of a piece are not zero")
    }
    let identity = Identity(
      name: try cursor.takeArray(Int(record.nameLength.value)), instance: record.instance.value,
      version: record.version.value)
    return Piece(
      owner: Owner(number: record.number.value), identity: identity,
      content: try cursor.takeArray(Int(record.length.value)))
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
