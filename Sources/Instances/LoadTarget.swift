internal import Errors
internal import FileIO
internal import Guest
internal import Migration
internal import Threads
internal import Wire

/// The output of a load: a bundle, a raw image of the memory of the guest's only mapped RAM block,
/// or a plain QEMU stream.
final class LoadTarget {
  private enum State {
    case bundle(GuestWriter)
    case raw(path: String, force: Bool)
    case bundleMemory(GuestBundleMemory)
    case rawMemory(MappedBlockOutput)
    case stream(OutputFile)
    case streamMemory(OutputFile, TemporaryMemory)
    /// Ready to be written. A direct output, such as a pipe, is written only in `commit`.
    case streamWriter(OutputFile, PlainStreamWriter)
    /// Passed on page by page; the guest is known at the end.
    case live(OutputFile)
    case liveMemory(OutputFile, LivePlainOutput)
    case liveEnd(OutputFile, LivePlainOutput, GuestDescription)
  }
  private var state: State

  /// - Parameter format: nil for a live output.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`, also for a live output that is no pipe or device.
  init(
    _ path: String, as format: GuestLoad.Format?, force: Bool
  ) throws(MigrationError) {
    switch format {
    case .bundle: state = .bundle(try GuestWriter(path, force: force))
    case .raw: state = .raw(path: path, force: force)
    case .qemu: state = .stream(try OutputFile(path, force: force, permissions: .private))
    case nil:
      let output = try OutputFile(path, force: force, permissions: .private)
      // A file of an ended load would be memory that was restored before the commit.
      guard output.isDirect, FileIdentity.ofOutput(path) == nil else {
        throw MigrationError(
          .outputCreate, "a live load writes to a QEMU that waits for it", expected: "a pipe",
          got: output.name)
      }
      state = .live(output)
    }
  }

  /// Creates the output for the guest's memory.
  /// - Throws: `GUEST-SHAPE` when a raw image cannot hold this guest's memory; `OUTPUT-EXISTS`,
  ///   `OUTPUT-CREATE`, `IO-WRITE`.
  func begin(_ incoming: IncomingMemory) throws(MigrationError) -> any GuestMemoryOutput {
    let blocks = incoming.blocks
    switch state {
    case .bundle(let writer):
      let memory = try writer.begin(blockSizes: blocks.map(\.size))
      state = .bundleMemory(memory)
      return memory
    case .raw(let path, let force):
      let mapped = Set(incoming.map.ranges.map(\.block))
      guard mapped.count == 1, let block = mapped.first else {
        throw MigrationError(
          .guestShape, "a raw image holds one RAM block", expected: "one block that is mapped",
          got: "\(mapped.count)")
      }
      let image = try RawImageWriter(path, force: force, size: blocks[block].size)
      let memory = MappedBlockOutput(block, image)
      state = .rawMemory(memory)
      return memory
    case .stream(let output):
      let memory = try TemporaryMemory(blockSizes: blocks.map(\.size))
      state = .streamMemory(output, memory)
      return memory
    case .live(let output):
      let memory = try LivePlainOutput(incoming, to: output)
      state = .liveMemory(output, memory)
      return memory
    case .bundleMemory, .rawMemory, .streamMemory, .streamWriter, .liveMemory, .liveEnd:
      throw MigrationError(.internal, "memory of the guest is made already")
    }
  }

  /// Writes the rest of the guest and waits until everything is on the disk.
  /// - Throws: what `GuestBundleMemory.complete`, `RawImageWriter.complete` and `PlainStreamWriter`
  ///   throw.
  func complete(_ guest: GuestDescription, _ crew: WorkCrew) throws(MigrationError) {
    switch state {
    case .bundleMemory(let memory): try memory.complete(guest)
    case .rawMemory(let memory): try memory.image.complete()
    case .streamMemory(let output, let memory):
      let writer = try PlainStreamWriter(memory.guest(guest), crew: crew)
      if !output.isDirect {
        try writer.write(to: output) { _ in }
        try output.synchronize()
      }
      state = .streamWriter(output, writer)
    case .liveMemory(let output, let memory):
      try memory.endMemory()
      state = .liveEnd(output, memory, guest)
    case .bundle, .raw, .stream, .streamWriter, .live, .liveEnd:
      throw MigrationError(.internal, "guest has no memory yet")
    }
  }

  /// The complete guest under its hidden name; nil for a direct output, which is not written yet.
  /// To be called after `complete`.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`.
  func unnamed() throws(MigrationError) -> UnnamedOutput? {
    switch state {
    case .bundleMemory(let memory): return try memory.unnamed()
    case .rawMemory(let memory): return try memory.image.unnamed()
    case .streamWriter(let output, _): return output.isDirect ? nil : try output.unnamed()
    case .liveEnd: return nil
    case .bundle, .raw, .stream, .streamMemory, .live, .liveMemory:
      throw MigrationError(.internal, "guest has no memory yet")
    }
  }

  /// Keeps the guest on the disk from now on, even if it never gets its name.
  func keep() {
    switch state {
    case .bundleMemory(let memory): memory.keep()
    case .rawMemory(let memory): memory.image.keep()
    case .streamWriter(let output, _): output.keep()
    case .bundle, .raw, .stream, .streamMemory, .live, .liveMemory, .liveEnd: break
    }
  }

  /// Gives the guest its name, or writes a direct output.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`, `IO-WRITE`.
  func commit() throws(MigrationError) {
    switch state {
    case .bundleMemory(let memory): try memory.commit()
    case .rawMemory(let memory): try memory.image.commit()
    case .streamWriter(let output, let writer):
      if output.isDirect { try writer.write(to: output) { _ in } }
      try output.commit()
    case .liveEnd(let output, let memory, let guest):
      try memory.complete(guest)
      try output.commit()
    case .bundle, .raw, .stream, .streamMemory, .live, .liveMemory:
      throw MigrationError(.internal, "guest has no memory yet")
    }
  }
}

/// Writes the memory of one RAM block to an image and discards that of the others, which are not
/// mapped.
private final class MappedBlockOutput: GuestMemoryOutput {
  let image: RawImageWriter
  private let block: Int

  init(_ block: Int, _ image: RawImageWriter) {
    self.block = block
    self.image = image
  }

  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError) {
    if block == self.block { try image.write(block: 0, at: offset, bytes) }
  }

  func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    if block == self.block { try image.write(block: 0, at: offset, bytes, pieces) }
  }

  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    if block == self.block { return try image.read(block: 0, at: offset, into: &buffer) }
    for index in buffer.indices { buffer[index] = 0 }
  }
}
