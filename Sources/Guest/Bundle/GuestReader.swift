package import Errors
internal import FileIO
internal import SEVSNP
package import Wire

/// Reads a guest at rest: its description, and its memory by RAM block and offset.
///
/// Several threads may read at once; reading does not allocate.
package final class GuestReader: Sendable {
  /// Everything except the content of memory.
  package let description: GuestDescription
  /// Memory of all RAM blocks, by index.
  package let memory: BlockFiles

  init(_ description: GuestDescription, memory: BlockFiles) {
    self.description = description
    self.memory = memory
  }

  /// A reader of the same memory, with what is known of it and of the machine, but without the vCPUs, the
  /// services and the machine state. They are the largest parts of a description beside the page states.
  package func withoutState() -> GuestReader {
    var memoryAlone = description
    (memoryAlone.vcpus, memoryAlone.services, memoryAlone.machineState) = ([], [], nil)
    return GuestReader(memoryAlone, memory: memory)
  }

  /// Whether `path` is a folder, and so a bundle if it is a guest at all.
  package static func isBundle(_ path: String) -> Bool { isFolder(path) }

  /// Opens a bundle. Every file it must have is opened and its size checked.
  /// - Parameter acceptsIncomplete: whether the guest may be the memory of a moment within a
  ///   stream, which cannot run.
  /// - Throws: `INPUT-OPEN` when there is no such folder, or the system fails to open a file in it;
  ///   `GUEST-MANIFEST`; `GUEST-INCOMPLETE`; `GUEST-FILE` when a file is missing, is not a regular file or has the
  ///   wrong size; what `GuestDescription.validate` and the decoding of page states throw;
  ///   `IO-READ`.
  package convenience init(
    bundle path: String, acceptsIncomplete: Bool = false
  ) throws(MigrationError) {
    guard isFolder(path) else {
      // Opening tells the reasons apart: the folder is missing, or the path names something else.
      let file = try InputFile(path, .regular)
      throw MigrationError(
        .guestManifest, "\(file.name) is not a guest bundle", expected: "a folder", got: "a file")
    }
    let manifest = try Manifest(parsing: try Self.manifest(in: path))
    if let moment = manifest.moment, !acceptsIncomplete {
      throw MigrationError(
        .guestIncomplete, "this is the memory of a moment within a stream, which cannot run",
        in: .file(GuestBundle.manifest), expected: "a whole guest", got: "\(moment)")
    }
    try StateRoom.require(
      vcpus: manifest.vcpus.count, services: manifest.services.reduce(0) { $0 + $1.size },
      runs: manifest.pageStateRuns)
    var files: [InputFile] = []
    for (index, block) in manifest.ramBlocks.enumerated() {
      files.append(try Self.open(path, GuestBundle.ram(index), size: block.size))
    }
    var description = GuestDescription(
      machine: manifest.machine, ramBlocks: manifest.ramBlocks, map: manifest.map,
      attributes: manifest.attributes, pageStates: try Self.pageStates(path, manifest),
      vcpus: try Self.vcpus(path, manifest), services: try Self.services(path, manifest))
    if let size = manifest.machineStateSize {
      description.machineState = try Self.open(path, GuestBundle.machineState, size: UInt64(size))
        .readAll(limit: size)
    }
    description.moment = manifest.moment
    try description.validate()
    self.init(description, memory: BlockFiles(files.map { .init(file: $0) }))
  }

  /// Fills `buffer` with the memory of a RAM block that begins at `offset`.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  package func read(
    block: Int, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(MigrationError) {
    let place = try memory.place(of: block)
    try unsafe place.file.read(at: place.start + offset, into: buffer)
  }

  /// Fills `buffer` with the memory of a RAM block that begins at `offset`.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    try memory.read(block: block, at: offset, into: &buffer)
  }

  /// Fills `buffer` with the memory that begins at guest-physical address `gpa`.
  /// - Throws: `MAP-LAYOUT` when an address is not mapped; `IO-READ`.
  package func read(
    gpa: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    var filled = 0
    while filled < buffer.count {
      let address = gpa &+ UInt64(filled)
      guard let place = description.map.locate(address) else {
        throw MigrationError(.guestMap, "no memory is mapped at \(Hex.number(address))")
      }
      let count = Int(min(UInt64(buffer.count - filled), place.available))
      // The part is within the buffer: `count` is at most the size of its remainder.
      try unsafe buffer.withUnsafeMutableBytes { (bytes) throws(MigrationError) in
        try unsafe read(
          block: place.block, at: place.offset,
          into: .init(rebasing: bytes[filled..<filled + count]))
      }
      filled += count
    }
  }

  /// Fills the pieces of `buffer`, in order, with the memory of a RAM block that begins at
  /// `offset`.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  package func read(
    block: Int, at offset: UInt64, into buffer: inout MutableSpan<UInt8>, _ pieces: SpacedPieces
  ) throws(MigrationError) {
    let place = try memory.place(of: block)
    try place.file.read(at: place.start + offset, into: &buffer, pieces)
  }

  /// The next range of a RAM block that begins at `offset`, as `BlockFiles.stretch` finds it.
  /// - Throws: `IO-READ`; `INTERNAL` when there is no such block.
  package func stretch(
    block: Int, from offset: UInt64, to end: UInt64
  ) throws(MigrationError) -> (end: UInt64, isHole: Bool) {
    try memory.stretch(block: block, from: offset, to: end)
  }

  /// Checks that no file of memory has become shorter since it was opened.
  /// - Throws: `IO-READ`.
  package func requireSizes() throws(MigrationError) { try memory.requireSizes() }
}

extension GuestReader {
  private static func manifest(in path: String) throws(MigrationError) -> [UInt8] {
    let file = try InputFile(GuestBundle.manifest, of: path, refusing: .guestManifest)
    do {
      return try file.readAll(limit: GuestBundle.maximumManifestSize)
    } catch {
      throw error.code == .inputKind ? error.as(.guestManifest) : error
    }
  }

  /// Opens a file of the bundle.
  /// - Throws: `GUEST-FILE` when it is missing, is not a regular file or has another size;
  ///   `INPUT-OPEN`.
  private static func open(
    _ folder: String, _ name: String, size: UInt64
  ) throws(MigrationError) -> InputFile {
    let file = try InputFile(name, of: folder, refusing: .guestFile)
    let found = try file.regularSize()
    guard found == size else {
      throw MigrationError(
        .guestFile, "\(file.name) has the wrong size", expected: "\(size) bytes", got: "\(found)")
    }
    return file
  }

  private static func pageStates(
    _ path: String, _ manifest: Manifest
  ) throws(MigrationError) -> PageStateMap {
    let size = manifest.pageStateRuns * PageStateMap.Layout.size
    let file = try open(path, GuestBundle.pageStates, size: UInt64(size))
    var states = PageStateMap()
    var piece = [UInt8](
      repeating: 0, count: min(size, GuestBundle.pageStatePiece * PageStateMap.Layout.size))
    var offset = 0
    while offset < size {
      let count = min(piece.count, size - offset)
      var whole = piece.mutableSpan
      var room = whole._mutatingExtracting(0..<count)
      try file.read(at: UInt64(offset), into: &room)
      let read = piece.span
      var cursor = ByteCursor(read.extracting(first: count), at: UInt64(offset))
      do {
        try states.appendRuns(from: &cursor)
      } catch {
        throw error.within(.file(GuestBundle.pageStates))
      }
      offset += count
    }
    return states
  }

  private static func vcpus(
    _ path: String, _ manifest: Manifest
  ) throws(MigrationError) -> [VCPUState] {
    var vcpus: [VCPUState] = []
    for (index, vcpu) in manifest.vcpus.enumerated() {
      let file = try open(path, GuestBundle.vcpu(index), size: UInt64(VMSA.Layout.size))
      vcpus.append(
        try VCPUState(
          apicID: vcpu.apicID, vmpl: vcpu.vmpl, vmsa: try file.readAll(limit: VMSA.Layout.size)))
    }
    return vcpus
  }

  private static func services(
    _ path: String, _ manifest: Manifest
  ) throws(MigrationError) -> [ServiceState] {
    var services: [ServiceState] = []
    for (index, service) in manifest.services.enumerated() {
      let file = try open(path, GuestBundle.service(index), size: UInt64(service.size))
      services.append(
        try ServiceState(
          kind: service.kind, isMandatory: service.isMandatory, version: service.version,
          generation: service.generation, blob: try file.readAll(limit: service.size)))
    }
    return services
  }
}

extension MigrationError {
  /// The same refusal under another code.
  func `as`(_ code: ErrorCode) -> MigrationError {
    var copy = self
    copy.code = code
    return copy
  }
}
