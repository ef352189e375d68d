internal import ArgumentParser
internal import Errors
internal import FileIO
internal import Guest
internal import JSON
internal import Migration
internal import QEMUStream
internal import SVSM
internal import Wire

// What a destination stores, and when: the guest has a name only after its instance has said so, and
// an abort is signed only after its instance has given up. `Formats/migration-data.md`, section 4.

extension LoadCommand {
  /// Gives the restored guest its name, once the instance says that it may have it.
  ///
  /// The guest is whole on the disk before the instance is stored as restoring, and is kept from then
  /// on. So whatever ends this process, either the instance is ready and no guest is left, or the guest
  /// is there and the instance knows where.
  /// - Parameter opened: the instance that the session was opened with.
  /// - Throws: what storing and naming throw; `INSTANCE-CHANGED`.
  func name(
    _ target: LoadTarget, of session: TransferData, for opened: SVSMInstance,
    _ console: Console
  ) throws(MigrationError) {
    let unnamed = try target.unnamed()
    let consequence =
      unnamed.map { "the guest is whole, as \($0.name): load again to give it a name" }
      ?? "\(instance) has restored its guest and will not load again"
    try LockedInstance.with(instance, console, still: opened) { (file) throws(MigrationError) in
      let next = try file.instance.restoring(
        by: session, unnamed: unnamed.map { .init(path: $0.path, inode: $0.inode, birth: $0.birth) }
      )
      try TerminationCleanup.delayed { () throws(MigrationError) in
        do throws(MigrationError) {
          try file.store(next)
        } catch {
          guard file.instance.state == next.state else { throw error }
          target.keep()
          throw error.adding(consequence)
        }
        target.keep()
      }
      do throws(MigrationError) {
        try target.commit()
      } catch {
        let isNamed = unnamed?.isNamed(output) ?? false
        throw error.adding(
          isNamed
            ? "\(instance) is \(file.instance.stage): load again to end the load" : consequence)
      }
      do throws(MigrationError) {
        try file.store(file.instance.imported())
      } catch {
        throw error.adding("the guest is restored all the same: \(output)")
      }
    }
  }

  /// Ends a load that was interrupted behind the point where the instance was stored as restoring:
  /// nothing is restored again, the guest that lies there gets its name.
  func endInterruptedLoad(of opened: SVSMInstance, _ console: Console) throws {
    if case .restoring(_, let guest) = opened.state { try requireFit(of: guest) }
    let session = try stream.map { (path) throws(MigrationError) in try Self.session(of: path) }
    try LockedInstance.with(instance, console, still: opened) { (file) throws(MigrationError) in
      guard case .restoring(let restored, let guest) = file.instance.state else {
        // Another run has ended it meanwhile.
        return try file.instance.requireReady(as: .destination)
      }
      if let session, try session.data.digest() != restored {
        throw MigrationError(
          .instanceRestoring, "the guest that waits for its name came by another stream",
          in: .instance, at: 248)
      }
      try file.makeDurable()
      try name(guest)
      try file.store(file.instance.imported())
    }
    console.note("ended an interrupted load: the guest is \(output)")
    console.noteLeftovers(of: [output, instance])
    console.noteModel()
    guard json else { return }
    try console.write([
      "schema": "svsm-migration/named/1", "tool": .string(console.tool), "status": "done",
      "guest": .string(output), "exitStatus": 0,
    ])
  }

  /// A guest that waits for its name is as it was written, and where it was written.
  /// - Throws: `ValidationError` for options that ask for something else.
  private func requireFit(of guest: SVSMInstance.UnnamedGuest?) throws {
    guard output != "-" else {
      throw ValidationError("The guest waits for a name, and standard output is none.")
    }
    guard let outputFormat, let guest else { return }
    let unnamed = UnnamedOutput(path: guest.path, inode: guest.inode, birth: guest.birth)
    guard !unnamed.isThere || (outputFormat == .bundle) == unnamed.isFolder else {
      throw ValidationError(
        "The guest that waits for its name is \(unnamed.isFolder ? "a bundle" : "a file"): it only gets "
          + "a name, and no other format.")
    }
  }

  private func name(_ guest: SVSMInstance.UnnamedGuest?) throws(MigrationError) {
    guard let guest else {
      throw MigrationError(
        .instanceRestoring,
        "the guest went where it was seen at once; whether all of it arrived is not known",
        in: .instance, at: 464)
    }
    let unnamed = UnnamedOutput(path: guest.path, inode: guest.inode, birth: guest.birth)
    if unnamed.isNamed(output) { return }
    guard unnamed.isThere else {
      throw MigrationError(
        .instanceRestoring,
        "the restored guest is neither \(unnamed.name) nor what --output names; if it has its name "
          + "already, give that", in: .instance, at: 448)
    }
    guard unnamed.isFolder else {
      return try OutputFile(resuming: unnamed, as: output, force: outputs.force).commit()
    }
    try GuestWriter.name(unnamed, as: output, force: outputs.force)
  }

  /// Writes the abort of an instance that has given up, or does so now.
  func giveUp(_ console: Console) throws {
    let session = try stream.map { (path) throws(MigrationError) in try Self.session(of: path) }
    try refuseSame(inputs: [instance] + [stream].compactMap { $0 }, as: output)
    let file = try OutputFile(output, force: outputs.force)
    let token = try LockedInstance.with(instance, console) { (file) throws(MigrationError) in
      if let session {
        try session.data.requireAnswer(to: file.instance.offer, at: session.offset)
      }
      let digest = try session?.data.digest()
      let next = try file.instance.giving(up: digest)
      // Stored before it is signed: whoever sees the abort can rely on it.
      if file.instance.state != next.state {
        do throws(MigrationError) {
          try file.store(next)
        } catch {
          guard file.instance.state == next.state else { throw error }
          throw error.adding("run it again for its abort")
        }
      } else {
        try file.makeDurable()
      }
      return try file.instance.abortToken(naming: digest)
    }
    do throws(MigrationError) {
      try file.write(token.encoded)
      try file.commit()
    } catch {
      throw error.adding("\(instance) has given up all the same: run it again for its abort")
    }
    console.note(
      "abort \(file.name): \(instance) will never restore \(stream == nil ? "a" : "that") guest")
    console.noteModel()
    guard json else { return }
    var result: [JSON.Member] = [
      .init("schema", "svsm-migration/abort/1"), .init("tool", .string(console.tool)),
      .init("status", "done"), .init("abort", .string(output)),
      .init("offerDigest", .string(Hex.encode(token.offerDigest))),
    ]
    if let session = token.session {
      result.append(.init("session", .string(Hex.encode(session))))
    }
    result.append(.init("exitStatus", 0))
    try console.write(.object(result))
  }

  /// The session of a stream, and where its payload begins.
  private static func session(
    of path: String
  ) throws(MigrationError) -> (data: TransferData, offset: UInt64) {
    var reader = SNPStreamReader(
      try StreamInput(opening: InputFile(path)), checkingSealWith: nil)
    while true {
      switch try reader.next() {
      case .configuration: continue
      case .session(let data): return (data, reader.payloadOffset)
      default: throw MigrationError(.internal, "reader did not give the session")
      }
    }
  }
}
