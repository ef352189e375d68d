package import Errors
internal import FileIO
package import Guest
internal import QEMUStream
package import Threads
package import Wire

/// Writes a guest as a plain QEMU stream, which a stock QEMU resumes.
///
/// Header, configuration, devices and description are, byte by byte, those of the stream from which
/// the guest came; the memory is the guest's. A guest without a machine state becomes a stream of
/// RAM alone. A machine without devices can load it; any other machine loads it with devices as
/// after a reset.
package struct PlainStreamWriter {
  private let guest: GuestReader
  private let machine: MachineState
  private let crew: WorkCrew

  /// - Throws: `MACHINE-SYNTAX`.
  package init(_ guest: GuestReader, crew: WorkCrew) throws(MigrationError) {
    self.guest = guest
    self.crew = crew
    machine = try guest.machine() ?? MachineState(machine: guest.description.machine)
  }

  /// - Parameter progress: called with the number of bytes of memory that are written.
  /// - Throws: `RAM-BLOCK` when a block's name is not valid as a section name; `IO-READ`,
  ///   `IO-WRITE`.
  package func write(
    to output: any ByteOutput, progress: (UInt64) -> Void
  ) throws(MigrationError) {
    var bytes: [UInt8] = []
    bytes.appendFileHeader()
    if let configuration = machine.configuration { bytes.append(configuration) }
    try output.write(bytes)
    var ram = RAMEncoder(blocks: try guest.description.ramBlocks.inStream())
    for entry in machine.entries {
      switch entry {
      case .command(let command):
        var bytes: [UInt8] = []
        bytes.append(command)
        try output.write(bytes)
      case .section(let header, let body): try machine.write(header, body, to: output)
      case .rest(let bytes):
        try guest.requireSizes()
        return try output.write(bytes)
      case .ram(let header) where header.kind == .part:
        try writePages(header.id, &ram, to: output, progress)
      case .ram(let header):
        var body: [UInt8] = []
        if header.kind == .start { ram.appendBlockList(to: &body) }
        ram.appendEnd(to: &body)
        try machine.write(header, body, to: output)
      }
    }
    try guest.requireSizes()
    try machine.writeEnd(to: output)
  }

  private func writePages(
    _ id: UInt32, _ ram: inout RAMEncoder, to output: any ByteOutput, _ progress: (UInt64) -> Void
  ) throws(MigrationError) {
    let blocks = guest.description.ramBlocks
    var extents = blocks.enumerated().lazy
      .map { BlockExtent(block: $0, offset: 0, size: $1.size) }.makeIterator()
    var sender = SharedPageSender(
      guest: guest, crew: crew, encoder: ram, id: id, hasFooters: machine.hasFooters)
    var done: UInt64 = 0
    let next = { extents.next() }
    let pages = blocks.reduce(0) { $0 + $1.size / Page.size64 }
    try sender.send(pages, next) { (batch) throws(MigrationError) in
      let records = batch.records
      try output.write(records.span.extracting(first: batch.size))
      done += batch.place.size
      progress(done)
    }
    ram = sender.encoder
  }
}

extension MachineState {
  /// Writes a section of the machine's own stream.
  func write(
    _ header: SectionHeader, _ body: [UInt8], to output: any ByteOutput
  ) throws(MigrationError) {
    var head: [UInt8] = []
    head.append(header)
    try output.write(head)
    try output.write(body)
    if hasFooters {
      var foot: [UInt8] = []
      foot.append(StreamGrammar.Footer(id: header.id))
      try output.write(foot)
    }
  }

  /// Writes the end of the machine's own stream.
  func writeEnd(to output: any ByteOutput) throws(MigrationError) {
    var end: [UInt8] = []
    end.appendEOF()
    if let description {
      end.append(StreamGrammar.TextHeader(.vmdescription, length: description.count))
      end += description
    }
    try output.write(end)
  }
}

extension [Guest.RAMBlock] {
  /// The RAM blocks as a QEMU stream lists them.
  /// - Throws: `RAM-BLOCK` when a name is not valid as a section name.
  func inStream() throws(MigrationError) -> [QEMUStream.RAMBlock] {
    var blocks: [QEMUStream.RAMBlock] = []
    for block in self {
      guard let name = SectionName(block.name) else {
        throw MigrationError(.ramBlock, "RAM block has no usable name")
      }
      blocks.append(.init(name: name, length: block.size))
    }
    return blocks
  }
}
