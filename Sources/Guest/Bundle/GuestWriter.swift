package import Errors
package import FileIO
internal import SEVSNP
package import Wire

/// Memory of a guest that is being written, by block and offset. What is not written is zero.
/// Writes may come from several threads at once.
package protocol GuestMemoryOutput: AnyObject, Sendable {
  /// Writes memory from `offset` of a RAM block on.
  /// - Throws: `IO-WRITE`; `INTERNAL` when the block has no such bytes.
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError)

  /// Writes the pieces of `bytes` to memory, one behind the other from `offset` of a RAM block on.
  /// - Throws: `IO-WRITE`; `INTERNAL` when the block has no such bytes.
  func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError)

  /// Fills `buffer` with what was written from `offset` of a RAM block on.
  /// - Throws: `IO-READ`; `INTERNAL` when the block has no such bytes.
  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError)
}

extension GuestMemoryOutput {
  /// Writes memory from `offset` of a RAM block on; `bytes` is borrowed for the call.
  /// - Throws: `IO-WRITE`; `INTERNAL` when the block has no such bytes.
  package func write(
    block: Int, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
  ) throws(MigrationError) {
    try unsafe write(block: block, at: offset, Span<UInt8>(_unsafeBytes: bytes))
  }
}

/// A guest bundle to be written: claims its place first, so that a run that cannot end well fails
/// before it begins.
package final class GuestWriter: Sendable {
  private let folder: OutputFolder

  /// - Parameters:
  ///   - path: folder of the bundle; nothing appears there before `GuestBundleMemory.commit`.
  ///   - force: whether an existing bundle, and nothing else, may be replaced.
  ///   - permissions: of the files; by default nobody but the owner reads guest memory.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  package init(
    _ path: String, force: Bool = false, permissions: OutputFile.Permissions = .private
  ) throws(MigrationError) {
    folder = try OutputFolder(
      path, force: force, marker: GuestBundle.manifest, permissions: permissions,
      isOurs: GuestBundle.isFileName)
  }

  /// Gives a finished bundle that has no name yet its name.
  /// - Parameter force: whether an existing bundle, and nothing else, may be replaced.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`, `IO-WRITE`.
  package static func name(
    _ unnamed: UnnamedOutput, as path: String, force: Bool
  ) throws(MigrationError) {
    try OutputFolder(
      resuming: unnamed, as: path, force: force, marker: GuestBundle.manifest,
      isOurs: GuestBundle.isFileName
    ).commit()
  }

  /// Makes the files of the RAM blocks, all zero. To be called once.
  /// - Parameter blockSizes: bytes of each block.
  /// - Throws: `OUTPUT-CREATE`, `IO-WRITE`.
  package func begin(blockSizes: [UInt64]) throws(MigrationError) -> GuestBundleMemory {
    var files: [OutputFolder.File] = []
    for (index, size) in blockSizes.enumerated() {
      let file = try folder.create(GuestBundle.ram(index))
      try file.resize(to: size)
      files.append(file)
    }
    return GuestBundleMemory(folder: folder, files: files, sizes: blockSizes)
  }
}

/// The memory of a bundle that is being written. Without `finish` nothing is left of it.
package final class GuestBundleMemory: GuestMemoryOutput {
  private let folder: OutputFolder
  private let files: [OutputFolder.File]
  private let sizes: [UInt64]

  init(folder: OutputFolder, files: [OutputFolder.File], sizes: [UInt64]) {
    (self.folder, self.files, self.sizes) = (folder, files, sizes)
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>
  ) throws(MigrationError) {
    try requireInside(
      sizes.indices.contains(block) ? sizes[block] : nil, block: block, offset: offset,
      count: bytes.count)
    try files[block].write(bytes, at: offset)
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    try requireInside(
      sizes.indices.contains(block) ? sizes[block] : nil, block: block, offset: offset,
      count: pieces.total)
    try files[block].write(bytes, pieces, at: offset)
  }

  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try requireInside(
      sizes.indices.contains(block) ? sizes[block] : nil, block: block, offset: offset,
      count: buffer.count)
    try files[block].read(at: offset, into: &buffer)
  }

  /// Writes the rest of the guest and gives the bundle its name: `complete`, then `commit`.
  /// - Throws: what these throw.
  package func finish(_ guest: GuestDescription) throws(MigrationError) {
    try complete(guest)
    try commit()
  }

  /// Writes the rest of the guest and waits until all of it is on the disk. To be called once,
  /// after the last write.
  /// - Throws: what `GuestDescription.validate` throws; `GUEST-SHAPE` when the RAM blocks are not
  ///   those begun with or the manifest grows too long; `IO-WRITE`, `OUTPUT-CREATE`.
  package func complete(_ guest: GuestDescription) throws(MigrationError) {
    try guest.validate()
    guard guest.ramBlocks.map(\.size) == sizes else {
      throw MigrationError(.guestShape, "RAM blocks are not those whose memory was written")
    }
    let (manifest, states) = try guest.tables()
    for file in files { try file.synchronize() }
    for (index, vcpu) in guest.vcpus.enumerated() {
      try add(GuestBundle.vcpu(index), vcpu.vmsa)
    }
    for (index, service) in guest.services.enumerated() {
      try add(GuestBundle.service(index), service.blob)
    }
    if let machine = guest.machineState { try add(GuestBundle.machineState, machine) }
    try add(GuestBundle.pageStates, states)
    try add(GuestBundle.manifest, manifest)
  }

  /// Where the bundle lies without a name. To be called after `complete`.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`.
  package func unnamed() throws(MigrationError) -> UnnamedOutput { try folder.unnamed() }

  /// Leaves the bundle on the disk from now on, also when it never gets its name.
  package func keep() { folder.keep() }

  /// Gives the bundle its name. To be called once, after `complete`.
  /// - Throws: `OUTPUT-CREATE`, `OUTPUT-EXISTS`, `IO-WRITE`.
  package func commit() throws(MigrationError) { try folder.commit() }

  /// Gives the bundle up and removes what was written.
  package func discard() { folder.discard() }

  private func add(_ name: String, _ bytes: [UInt8]) throws(MigrationError) {
    let file = try folder.create(name)
    try file.write(bytes)
    try file.synchronize()
  }
}

/// A raw memory image that is being written: the bytes of one RAM block.
package final class RawImageWriter: GuestMemoryOutput {
  private let file: OutputFile
  private let size: UInt64

  /// - Parameters:
  ///   - path: a file; standard output has no positions and will not do.
  ///   - force: whether an existing file may be replaced.
  ///   - size: bytes of the block.
  /// - Throws: `OUTPUT-CREATE`, `OUTPUT-EXISTS`, `IO-WRITE`.
  package init(
    _ path: String, force: Bool = false, size: UInt64,
    permissions: OutputFile.Permissions = .private
  ) throws(MigrationError) {
    guard path != "-" else {
      throw MigrationError(
        .outputCreate, "a raw image is not written in order", expected: "a file",
        got: "standard output")
    }
    file = try OutputFile(path, force: force, permissions: permissions)
    self.size = size
    try file.resize(to: size)
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>
  ) throws(MigrationError) {
    try requireInside(block == 0 ? size : nil, block: block, offset: offset, count: bytes.count)
    try file.write(bytes, at: offset)
  }

  package func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    try requireInside(
      block == 0 ? size : nil, block: block, offset: offset, count: pieces.total)
    try file.write(bytes, pieces, at: offset)
  }

  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try requireInside(block == 0 ? size : nil, block: block, offset: offset, count: buffer.count)
    try file.read(at: offset, into: &buffer)
  }

  /// Waits until the image is on the disk. To be called after the last write.
  /// - Throws: `IO-WRITE`.
  package func complete() throws(MigrationError) { try file.synchronize() }

  /// Where the image lies without a name; nil when it is seen at once. To be called after `complete`.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`.
  package func unnamed() throws(MigrationError) -> UnnamedOutput? { try file.unnamed() }

  /// Leaves the image on the disk from now on, also when it never gets its name.
  package func keep() { file.keep() }

  /// Gives the image its name. To be called once, after the last write.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`, `OUTPUT-EXISTS`.
  package func commit() throws(MigrationError) { try file.commit() }

  /// Gives the image up and removes what was written.
  package func discard() { file.discard() }
}

/// - Parameter size: bytes of the block, nil when there is none.
func requireInside(
  _ size: UInt64?, block: Int, offset: UInt64, count: Int
) throws(MigrationError) {
  guard let size, UInt64(count) <= size, offset <= size - UInt64(count) else {
    throw MigrationError(
      .internal, "guest has no \(count) bytes at \(Hex.number(offset)) of RAM \(block)")
  }
}
