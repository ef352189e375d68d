internal import Errors
package import Guest
internal import QEMUStream
internal import SEVSNP
package import Wire

/// The parts of a machine that an SVSM carries because they are the guest's own: bodies of sections
/// and contents of RAM blocks. They form the blob of the service of kind 2 (`Formats/stream.md`,
/// "snp-machine").
package struct SealedMachine {
  /// Where a piece belongs.
  enum Owner: Hashable {
    /// The body of this entry of the machine state.
    case entry(Int)
    /// The whole content of this RAM block of the block list.
    case block(Int)

    /// Set in the number of a block, clear in the number of an entry.
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

  /// What a piece belongs to, under the names that QEMU has for it. A host that gives the entry or
  /// block another name is detected.
  struct Identity: Equatable {
    /// Name of the section or block; empty for the rest of a stream.
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

    /// Number of the entry; with bit 31 set, of the RAM block.
    package var number: BE32
    /// Instance id of the section, else 0.
    package var instance: BE32
    /// Version of the section, else 0.
    package var version: BE32
    /// Length of the content in bytes.
    package var length: BE32
    /// Length in bytes of the name of the section or block; 0 for the rest.
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

  /// Version of the blob's format, which the service record states.
  static let version: UInt32 = 2

  private(set) var pieces: [Piece] = []
  /// Size in bytes of the blob of the pieces that were appended.
  private var encodedSize = 0

  init() {}

  /// - Throws: `SERVICE-SYNTAX` when all pieces together are longer than a service's state may be.
  mutating func append(_ piece: Piece) throws(MigrationError) {
    try requireRoom(for: piece.identity, piece.content.count)
    pieces.append(piece)
    encodedSize += piece.encodedSize
  }

  /// Makes sure that a piece with `size` bytes of content can be added. Call it before the piece is
  /// made.
  /// - Throws: `SERVICE-SYNTAX`.
  func requireRoom(for identity: Identity, _ size: Int) throws(MigrationError) {
    let room =
      ServiceState.maximumSize - encodedSize - Layout.size - identity.name.count
    guard size <= room else {
      throw MigrationError(
        .serviceSyntax, "state of the machine for the SVSM is too long",
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
      // The offset is in the plaintext, not in the stream.
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
  /// The blocks that are not memory of the guest but the buffer of its TPM's interface. QEMU has
  /// such a buffer in a RAM block of its own (`tpm-crb-cmd`), which is not mapped here; it holds
  /// the last response of the TPM. These blocks migrate sealed and not as shared memory.
  package func sealedBlocks(of blocks: [Guest.RAMBlock]) -> Set<Int> {
    Set(blocks.indices.filter { MachineState.isOfTPM(blocks[$0].name.utf8) })
      .subtracting(ranges.map(\.block))
  }
}

extension GuestReader {
  /// What the SVSM must carry of the machine.
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
      // The conversion cannot fail: a size is at most 2^52.
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
