package import Errors
internal import FileIO
internal import Import
internal import Migration
internal import QEMUStream
package import SVSM

extension LockedInstance {
  /// The abort of the instance at `path`, which has given up, or does so now.
  /// - Parameters:
  ///   - session: the stream that is given up; nil for whatever comes.
  ///   - waiting: called when the lock of the file has to be waited for.
  /// - Throws: what reading and storing the instance throw; `SESSION-RECIPIENT` for a stream of another
  ///   instance; what `SVSMInstance.giving` refuses.
  package static func giveUp(
    _ path: String, _ session: StreamSession?, waiting: () -> Void
  ) throws(MigrationError) -> AbortToken {
    try with(path, waiting: waiting) { (file) throws(MigrationError) in
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
  }
}

/// The session of a stream, of which nothing else is read.
package struct StreamSession {
  package let data: TransferData
  /// Where its payload begins in the stream.
  package let offset: UInt64

  /// - Parameter path: the stream; "-" is standard input.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`; what is wrong with the front of the stream.
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
