package import Errors
package import Guest
internal import PageSets
internal import QEMUStream
internal import SVSM
package import Wire

/// The memory of a guest as a plain QEMU stream that is written while its pages come.
///
/// A QEMU that receives the stream cannot run the guest before it has read the end, which
/// `complete` writes: devices, the VM description. So pages may be let out before the commit is
/// checked, and after a refusal the stream just ends early.
package final class LivePlainOutput: GuestMemoryOutput, @unchecked Sendable {
  /// Id of the `ram` section. The sections of devices keep the ids of their own stream.
  private static let ramID = SNPSection.firstDeviceID - 1

  private let output: any ByteOutput
  private var part: RAMPart
  private let blockSizes: [UInt64]
  /// For each RAM block, the pages that came.
  private var came = PageSet()

  /// The receiving QEMU has content of its own, such as firmware, in its memory.
  package var isZeroed: Bool { false }

  /// Writes the begin of the stream, up to the list of RAM blocks.
  /// - Throws: `RAM-BLOCK` when a block's name is not valid as a section name; `IO-WRITE`.
  package init(_ memory: IncomingMemory, to output: any ByteOutput) throws(MigrationError) {
    self.output = output
    blockSizes = memory.blocks.map(\.size)
    let encoder = RAMEncoder(blocks: try memory.blocks.inStream())
    part = RAMPart(encoder, id: Self.ramID)
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    bytes.append(Configuration(machine: memory.machine))
    bytes.append(Self.header(.start))
    encoder.appendBlockList(to: &bytes)
    encoder.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: Self.ramID))
    try output.write(bytes)
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>
  ) throws(MigrationError) {
    for start in stride(from: 0, to: bytes.count, by: Page.size) {
      try write(block, offset + UInt64(start), bytes.extracting(start..<start + Page.size))
    }
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    for index in 0..<pieces.count {
      let start = pieces.start + index * pieces.stride
      try write(
        block, offset + UInt64(index * Page.size), bytes.extracting(start..<start + Page.size))
    }
  }

  private func write(
    _ block: Int, _ offset: UInt64, _ content: Span<UInt8>
  ) throws(MigrationError) {
    if part.isFull { try flush() }
    _ = try came.insert(offset / Page.size64, of: block)
    _ = part.append(RAMPage(block: block, offset: offset), content)
  }

  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    throw MigrationError(.internal, "memory that was sent on cannot be read")
  }

  /// Writes the pages that were collected.
  /// - Throws: `IO-WRITE`.
  package func flush() throws(MigrationError) {
    let output = self.output
    try part.send { (bytes) throws(MigrationError) in try output.write(bytes) }
  }

  /// Writes zeros for the pages that did not come, since the guest has not accepted them, and the end of the
  /// memory.
  /// - Throws: `IO-WRITE`.
  package func endMemory() throws(MigrationError) {
    for (block, size) in blockSizes.enumerated() {
      let end = size / Page.size64
      var next: UInt64 = 0
      while let page = try came.firstMissing(in: next..<end, of: block) {
        try write(block, page * Page.size64, Self.zeroPage.span)
        next = page + 1
      }
    }
    try flush()
    var bytes: [UInt8] = []
    bytes.append(Self.header(.end))
    part.encoder.appendEnd(to: &bytes)
    bytes.append(StreamGrammar.Footer(id: Self.ramID))
    try output.write(bytes)
  }

  /// Writes the machine, after which the receiver can run the guest.
  /// - Throws: `MACHINE-SYNTAX`; `IO-WRITE`.
  package func complete(_ guest: GuestDescription) throws(MigrationError) {
    let machine =
      try guest.machineState.map { (bytes) throws(MigrationError) in try MachineState(bytes) }
      ?? MachineState(machine: guest.machine)
    for entry in machine.entries {
      switch entry {
      case .section(let header, let body): try machine.write(header, body, to: output)
      case .command(let command):
        var bytes: [UInt8] = []
        bytes.append(command)
        try output.write(bytes)
      case .ram, .rest: break
      }
    }
    try machine.writeEnd(to: output)
  }

  private static let zeroPage = [UInt8](repeating: 0, count: Page.size)

  private static func header(_ kind: SectionHeader.Kind) -> SectionHeader {
    SectionHeader(kind, id: ramID, name: RAMSection.name, version: RAMSection.version)
  }
}
