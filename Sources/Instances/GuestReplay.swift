package import Errors
package import FileIO
package import Guest
internal import Import
package import Migration
internal import QEMUStream
package import SVSM
package import Threads

extension GuestLoad {
  /// Writes memory as it was at a moment within a stream. Nothing of the final state is restored,
  /// and the instance is neither locked nor stored, whatever its stage is.
  /// - Parameters:
  ///   - file: the stream.
  ///   - format: a bundle or a raw image; what a QEMU stream needs comes with the final state.
  ///   - trace: observes the calls of the trusted side.
  ///   - progress: called with the number of bytes of the stream that have been read.
  /// - Throws: the first rule that the stream breaks up to the moment; `EPOCH-MISSING`;
  ///   `OUTPUT-EXISTS`, `OUTPUT-CREATE`, `IO-READ`, `IO-WRITE`.
  package func replay(
    _ file: InputFile, until moment: GuestMoment, as format: Format, trusting trust: Trust,
    _ options: DestinationSVSM.Options, _ crew: WorkCrew, trace: SessionTrace? = nil,
    progress: (UInt64) -> Void
  ) throws(MigrationError) -> ReplaySummary {
    precondition(format != .qemu)
    let target = try LoadTarget(output, as: format, force: force)
    var options = options
    options.isRehearsal = true
    var vmm = DestinationVMM(try StreamInput(opening: file), crew: crew)
    let summary = try vmm.replay(
      until: moment,
      begin: { (data, offset) throws(MigrationError) in
        try DestinationSVSM(
          instance: opened, transferData: data, trust: trust, options: options, at: offset,
          trace: trace)
      }, memory: target.begin, progress: progress)
    try target.complete(summary.guest, crew)
    try target.commit()
    return summary
  }
}
