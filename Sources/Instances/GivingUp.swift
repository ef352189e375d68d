package import Errors
internal import FileIO
internal import Import
internal import Migration
internal import QEMUStream
package import SVSM

extension LockedInstance {
  /// Makes an abort of the instance at `path`. An instance that is ready is first stored as
  /// aborted.
  /// - Parameters:
  ///   - session: the session of the stream that is given up; nil for an abort that names no
  ///     session.
  ///   - waiting: called before waiting for the lock of the file.
  /// - Throws: what reading and storing the instance throw; `SESSION-RECIPIENT` for a stream to
  ///   another instance; what `SVSMInstance.giving` refuses.
  package static func giveUp(
    _ path: String, _ session: StreamSession?, waiting: () -> Void
  ) throws(MigrationError) -> AbortToken {
    try with(path, waiting: waiting) { (file) throws(MigrationError) in
      if let session {
        try session.data.requireAnswer(to: file.instance.offer, at: session.offset)
      }
      let digest = try session?.data.digest()
      let next = try file.instance.giving(up: digest)
      // The stage is stored before the abort is signed, so that a source that gets the abort can
      // rely on it.
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
  }
}

/// The session of a stream; the rest of the stream is not read.
package struct StreamSession {
  /// The transfer data of the session.
  package let data: TransferData
  /// Offset of the transfer data in the stream.
  package let offset: UInt64

  /// - Parameter path: the stream; "-" is standard input.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; errors in the stream up to and including the
  ///   session.
  package init(of path: String) throws(MigrationError) {
    var reader = SNPStreamReader(
      try StreamInput(opening: InputFile(path)), checkingSealWith: nil)
    while true {
      switch try reader.next() {
      case .configuration: continue
      case .session(let data):
        (self.data, offset) = (data, reader.payloadOffset)
        return
      default: throw MigrationError(.internal, "reader did not give the session")
      }
    }
  }
}
