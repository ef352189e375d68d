internal import Errors
internal import FileIO
internal import Import
internal import Instances
internal import Migration
internal import SVSM

/// The source of a stream, from its first byte to its seal.
protocol SourceSide: ~Copyable {
  /// Sends everything except the commit. When it returns, the output has taken all of it.
  /// - Parameter progress: called with the number of bytes of guest memory that are done.
  mutating func sendGuest(progress: (UInt64) -> Void) throws(MigrationError)

  /// Hands the guest over: from then on it may be restored elsewhere.
  mutating func commit() throws(MigrationError) -> SaveSummary
}

extension SourceVMM: SourceSide {}

extension SaveCommand {
  /// Sends the guest and hands it over. The source is exported once the commit is issued, even if
  /// writing the stream then fails.
  /// - Parameter handedOver: set to true before the commit may leave.
  func send<Source: SourceSide & ~Copyable>(
    _ vmm: inout Source, to outputs: Outputs, of session: TransferData, _ parties: Parties,
    _ handedOver: inout Bool, _ console: Console, progress: (UInt64) -> Void
  ) throws(MigrationError) -> SaveSummary {
    let (stream, source) = (outputs.stream, parties.source)
    do throws(MigrationError) {
      try vmm.sendGuest(progress: progress)
      // Synchronizing takes long, so most of it is done before the guest is handed over.
      try stream.synchronize()
      try outputs.recording?.requireWhole()
      func handOver() throws(MigrationError) -> SaveSummary {
        let summary = try vmm.commit()
        try stream.commit()
        return summary
      }
      if let source {
        return try LockedInstance.with(
          source.path, waiting: console.waiting(for: source.path), still: source.instance
        ) {
          (file) throws(MigrationError) in
          let next = try file.instance.exported(by: session, to: parties.offer)
          func step() throws(MigrationError) -> SaveSummary {
            // From here on the guest may run at the destination and must not be saved a second
            // time.
            defer { handedOver = file.instance.state == next.state }
            try file.store(next)
            return try handOver()
          }
          // For a direct output signals are not delayed: the reader of a pipe could block it for
          // ever, and there is no file that could be lost.
          return stream.isDirect ? try step() : try TerminationCleanup.delayed(step)
        }
      } else {
        handedOver = true
        return try handOver()
      }
    } catch {
      guard handedOver, let from = source?.path else { throw error }
      // A stream that has its name can be loaded.
      guard !stream.isNamed else { throw error.adding("\(from) is exported all the same") }
      throw error.adding(
        "\(from) may have issued its commit and will not save again: ask the destination for an "
          + "abort, and resume after it")
    }
  }
}
