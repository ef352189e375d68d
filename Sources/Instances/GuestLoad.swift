package import Errors
package import FileIO
internal import Guest
package import Import
package import Migration
internal import QEMUStream
package import SVSM
package import Threads
internal import Wire

/// How far a live load has come: what its end leaves of the guest depends on it.
package struct LiveArrival {
  /// Whether the QEMU that waits has been given anything.
  package var hasOutput = false
  /// Whether the instance may be stored as restoring. From then on the guest is here, and nowhere else.
  package var isRestored = false

  package init() {}
}

/// A load as a destination makes it, with the order of its changes on the disk: a guest gets its
/// name only after its instance has been stored as restoring (`Formats/migration-data.md`, section
/// 4).
package struct GuestLoad {
  /// The form in which a guest is written.
  package enum Format: String, Sendable, CaseIterable {
    case bundle
    case raw
    case qemu
  }

  private typealias Layout = SVSMInstance.Layout

  /// Path of the instance's file.
  private let instance: String
  /// The instance as it was read at the beginning.
  let opened: SVSMInstance
  /// Path of the guest; "-" is standard output.
  let output: String
  let force: Bool
  private let waiting: () -> Void

  /// - Parameters:
  ///   - file: the instance as it was read at the beginning.
  ///   - output: path of the guest; "-" is standard output, for a QEMU stream only.
  ///   - force: whether an existing output may be replaced.
  ///   - waiting: called before waiting for the lock of the instance's file.
  package init(
    by file: InstanceFile, to output: String, force: Bool, waiting: @escaping () -> Void
  ) {
    (instance, opened) = (file.path, file.instance)
    (self.output, self.force, self.waiting) = (output, force, waiting)
  }

  // MARK: A load

  /// Restores the guest of a stream, whole or not at all.
  /// - Parameters:
  ///   - file: the stream.
  ///   - live: not nil when the guest's pages are passed on as they come, to a QEMU that reads a stream and
  ///     cannot run the guest before its end.
  ///   - recording: takes a copy of the stream. As long as the guest is not restored, the load ends when it
  ///     cannot be written.
  ///   - trace: observes the calls of the trusted side.
  ///   - progress: called with the number of bytes of the stream that have been read.
  /// - Throws: the first rule that the stream breaks; `OUTPUT-EXISTS`, `OUTPUT-CREATE`, `IO-READ`,
  ///   `IO-WRITE`; `INSTANCE-CHANGED`.
  package func load(
    _ file: InputFile, as format: Format, live: inout LiveArrival?, recording: Recording? = nil,
    trusting trust: Trust, _ options: DestinationSVSM.Options, _ crew: WorkCrew,
    trace: SessionTrace? = nil,
    progress: (UInt64) -> Void
  ) throws(MigrationError) -> LoadSummary {
    let target = try LoadTarget(output, as: live == nil ? format : nil, force: force)
    var vmm = DestinationVMM(try StreamInput(opening: file, recording: recording), crew: crew)
    let summary = try vmm.receive(
      begin: { (data, offset) throws(MigrationError) in
        try DestinationSVSM(
          instance: opened, transferData: data, trust: trust, options: options, at: offset,
          trace: trace)
      },
      memory: { (incoming) throws(MigrationError) in
        live?.hasOutput = true
        return try target.begin(incoming)
      }, progress: progress)
    try target.complete(summary.guest, crew)
    try name(target, of: summary.transferData, &live)
    return summary
  }

  /// Stores the instance as restoring, gives the restored guest its name, and stores the instance
  /// as imported.
  ///
  /// The whole guest is on the disk before the instance is stored as restoring, and is kept from
  /// then on. So however this process ends, either the instance is ready and no guest is left, or
  /// the guest is on the disk and the instance has its path.
  private func name(
    _ target: LoadTarget, of session: TransferData, _ live: inout LiveArrival?
  ) throws(MigrationError) {
    let unnamed = try target.unnamed()
    let consequence =
      unnamed.map { "the guest is whole, as \($0.name): load again to give it a name" }
      ?? "\(instance) has restored its guest and will not load again"
    try LockedInstance.with(instance, waiting: waiting, still: opened) {
      (file) throws(MigrationError) in
      let next = try file.instance.restoring(
        by: session, unnamed: unnamed.map(SVSMInstance.UnnamedGuest.init))
      try TerminationCleanup.delayed { () throws(MigrationError) in
        do throws(MigrationError) {
          try file.store(next)
        } catch {
          guard file.instance.state == next.state else { throw error }
          live?.isRestored = true
          target.keep()
          throw error.adding(consequence)
        }
        live?.isRestored = true
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

  // MARK: The end of an interrupted load

  /// The guest that the instance has restored and that may not have its name yet; nil when the
  /// instance is not restoring, or when the guest was written directly to a pipe or device.
  package var waitingGuest: UnnamedOutput? {
    guard case .restoring(_, let guest) = opened.state else { return nil }
    return guest.map(UnnamedOutput.init)
  }

  /// Completes a load that was interrupted after the instance had been stored as restoring. Nothing
  /// is restored again; the guest under the hidden path gets its name.
  /// - Parameter session: the session of the stream from which the guest was loaded; nil accepts
  ///   any.
  /// - Throws: `INSTANCE-RESTORING` when the guest was loaded from another stream, or cannot be
  ///   found; what storing and naming throw; `INSTANCE-CHANGED`.
  package func endInterrupted(of session: TransferData?) throws(MigrationError) {
    try LockedInstance.with(instance, waiting: waiting, still: opened) {
      (file) throws(MigrationError) in
      guard case .restoring(let restored, let guest) = file.instance.state else {
        // Another run has completed the load in the meantime.
        return try file.instance.requireReady(as: .destination)
      }
      if let session, try session.digest() != restored {
        throw MigrationError(
          .instanceRestoring, "the interrupted load belongs to another stream: give that stream",
          in: .instance, at: Layout.offset(of: \.session, from: 0))
      }
      try file.makeDurable()
      try name(guest.map(UnnamedOutput.init))
      try file.store(file.instance.imported())
    }
  }

  private func name(_ unnamed: UnnamedOutput?) throws(MigrationError) {
    guard let unnamed else {
      throw MigrationError(
        .instanceRestoring,
        "the guest was written directly to its output; whether all of it arrived is unknown",
        in: .instance, at: Layout.offset(of: \.hiddenLength, from: 0))
    }
    if unnamed.isNamed(output) { return }
    guard unnamed.isThere else {
      throw MigrationError(
        .instanceRestoring,
        "the restored guest is neither \(unnamed.name) nor what \(.output) names; if the file was "
          + "renamed, give its name", in: .instance,
        at: Layout.offset(of: \.hiddenIdentity, from: 0))
    }
    guard unnamed.isFolder else {
      return try OutputFile(resuming: unnamed, as: output, force: force).commit()
    }
    try GuestWriter.name(unnamed, as: output, force: force)
  }
}
