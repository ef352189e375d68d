package import Errors
package import FileIO
internal import SEVSNP
package import Wire

/// Receives the memory of a guest that is being written, by RAM block and offset. Bytes that are
/// never written are zero. Several threads may write at once.
package protocol GuestMemoryOutput: AnyObject, Sendable {
  /// Whether memory that was not written is zero, so that zero pages need not be written.
  var isZeroed: Bool { get }

  /// Writes `bytes` to a RAM block, beginning at `offset`.
  /// - Throws: `IO-WRITE`; `INTERNAL` when the block has no such bytes.
  func write(block: Int, at offset: UInt64, _ bytes: Span<UInt8>) throws(MigrationError)

  /// Writes the pieces of `bytes` to a RAM block, one after the other without gaps, beginning at
  /// `offset`.
  /// - Throws: `IO-WRITE`; `INTERNAL` when the block has no such bytes.
  func write(
    block: Int, at offset: UInt64, _ bytes: Span<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError)

  /// Fills `buffer` with the bytes of a RAM block that begin at `offset`, as written so far.
  /// - Throws: `IO-READ`; `INTERNAL` when the block has no such bytes.
  func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError)
}

extension GuestMemoryOutput {
  package var isZeroed: Bool { true }

  /// Writes `bytes` to a RAM block, beginning at `offset`; `bytes` is borrowed for the call.
  /// - Throws: `IO-WRITE`; `INTERNAL` when the block has no such bytes.
  package func write(
    block: Int, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
  ) throws(MigrationError) {
    try unsafe write(block: block, at: offset, Span<UInt8>(_unsafeBytes: bytes))
  }
}

/// Writes a guest bundle. It claims the path of the bundle first, so that a run that could not
/// finish fails before it begins.
package final class GuestWriter: Sendable {
  private let folder: OutputFolder

  /// - Parameters:
  ///   - path: folder of the bundle; nothing appears there before `GuestBundleMemory.commit`.
  ///   - force: whether an existing bundle, and nothing else, may be replaced.
  ///   - permissions: of the files; by default only the owner can read guest memory.
  /// - Throws: `OUTPUT-EXISTS`, `OUTPUT-CREATE`.
  package init(
    _ path: String, force: Bool = false, permissions: OutputFile.Permissions = .private
  ) throws(MigrationError) {
    folder = try OutputFolder(
      path, force: force, marker: GuestBundle.manifest, permissions: permissions,
      isOurs: GuestBundle.isFileName)
  }

  /// Renames a finished bundle from its hidden name to `path`.
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

  /// Creates the files of the RAM blocks, all zero. To be called once.
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

/// The memory of a bundle that is being written. Unless `finish`, or `complete` and `commit`, are
/// called, nothing is left of the bundle.
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

  /// Writes the rest of the guest and gives the bundle its name: calls `complete`, then `commit`.
  /// - Throws: what these throw.
  package func finish(_ guest: GuestDescription) throws(MigrationError) {
    try complete(guest)
    try commit()
  }

  /// Writes the rest of the guest and waits until all of it is on the disk. To be called once,
  /// after the last write.
  /// - Throws: what `GuestDescription.validate` throws; `GUEST-SHAPE` when the sizes of the RAM
  ///   blocks are not those given to `begin`, or the manifest is too long; `IO-WRITE`,
  ///   `OUTPUT-CREATE`.
  package func complete(_ guest: GuestDescription) throws(MigrationError) {
    try guest.validate()
    guard guest.ramBlocks.map(\.size) == sizes else {
      throw MigrationError(.guestShape, "RAM blocks differ from those whose memory was written")
    }
    let manifest = try Manifest(checking: guest)
    for file in files { try file.synchronize() }
    for (index, vcpu) in guest.vcpus.enumerated() {
      try add(GuestBundle.vcpu(index), vcpu.vmsa)
    }
    for (index, service) in guest.services.enumerated() {
      try add(GuestBundle.service(index), service.blob)
    }
    if let machine = guest.machineState { try add(GuestBundle.machineState, machine) }
    try add(guest.pageStates)
    let file = try folder.create(GuestBundle.manifest)
    try manifest.write { (text) throws(MigrationError) in try file.write(Array(text.utf8)) }
    try file.synchronize()
  }

  /// The bundle under its hidden name. To be called after `complete`.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`.
  package func unnamed() throws(MigrationError) -> UnnamedOutput { try folder.unnamed() }

  /// Keeps the bundle on the disk from now on, even if it never gets its name.
  package func keep() { folder.keep() }

  /// Gives the bundle its name. To be called once, after `complete`.
  /// - Throws: `OUTPUT-CREATE`, `OUTPUT-EXISTS`, `IO-WRITE`.
  package func commit() throws(MigrationError) { try folder.commit() }

  /// Removes everything that was written; the bundle is abandoned.
  package func discard() { folder.discard() }

  private func add(_ states: PageStateMap) throws(MigrationError) {
    let file = try folder.create(GuestBundle.pageStates)
    for piece in states.encoded(inPartsOf: GuestBundle.pageStatePiece) { try file.write(piece) }
    try file.synchronize()
  }

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
  ///   - path: a file; standard output, a device and a fifo cannot be written by position.
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
    file = try OutputFile(path, force: force, permissions: permissions, mustStay: true)
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

  /// The image under its hidden name; nil when it is written in place. To be called after
  /// `complete`.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`.
  package func unnamed() throws(MigrationError) -> UnnamedOutput? { try file.unnamed() }

  /// Keeps the image on the disk from now on, even if it never gets its name.
  package func keep() { file.keep() }

  /// Gives the image its name. To be called once, after the last write.
  /// - Throws: `IO-WRITE`, `OUTPUT-CREATE`, `OUTPUT-EXISTS`.
  package func commit() throws(MigrationError) { try file.commit() }

  /// Removes what was written; the image is abandoned.
  package func discard() { file.discard() }
}

/// Checks that `count` bytes at `offset` lie inside a RAM block.
/// - Parameter size: bytes of the block; nil when there is no such block.
/// - Throws: `INTERNAL`.
func requireInside(
  _ size: UInt64?, block: Int, offset: UInt64, count: Int
) throws(MigrationError) {
  guard let size, UInt64(count) <= size, offset <= size - UInt64(count) else {
    throw MigrationError(
      .internal, "guest has no \(count) bytes at \(Hex.number(offset)) of RAM \(block)")
  }
}
