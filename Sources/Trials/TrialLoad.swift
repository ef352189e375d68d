internal import Errors
internal import FileIO
internal import Instances
internal import Migration
internal import SVSM
internal import Threads

/// A load whose guest is discarded: it shows whether a destination accepts a stream.
struct TrialLoad {
  /// Path of the stream.
  private let stream: String
  /// Path of the instance's file. A successful load uses up the instance.
  private let instance: String
  /// Whether a source is accepted that does not attest itself.
  var acceptsOneWay = true

  init(_ stream: String, by instance: String) { (self.stream, self.instance) = (stream, instance) }

  /// Runs the load, and returns the error with which it was refused; nil when it succeeds.
  /// - Parameters:
  ///   - output: path of the guest's bundle.
  ///   - trust: returns what the destination trusts; called once the instance is known to be ready.
  func refusal(
    to output: String, trust: () throws(MigrationError) -> Trust
  ) -> MigrationError? {
    do throws(MigrationError) {
      let file = try InstanceFile(reading: instance, .regular)
      let load = GuestLoad(by: file, to: output, force: false, waiting: {})
      if file.instance.stage == .restoring {
        try load.endInterrupted(of: StreamSession(of: stream).data)
        return nil
      }
      try file.instance.requireReady(as: .destination)
      var options = DestinationSVSM.Options()
      options.acceptsOneWay = acceptsOneWay
      options.acceptsSeeded = true
      let trust = try trust()
      var live: LiveArrival?
      _ = try load.load(
        InputFile(stream), as: .bundle, live: &live, trusting: trust, options, WorkCrew(jobs: 1)
      ) { _ in }
    } catch {
      return error
    }
    return nil
  }
}
