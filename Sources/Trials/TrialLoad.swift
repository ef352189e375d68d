internal import Errors
internal import FileIO
internal import Instances
internal import Migration
internal import SVSM
internal import Threads

/// A load whose guest nobody wants: it shows what a destination says to a stream.
struct TrialLoad {
  /// Path of the stream.
  private let stream: String
  /// Path of the instance's file, which is used up by a load.
  private let instance: String
  /// Whether a source counts that does not prove itself.
  var acceptsOneWay = true

  init(_ stream: String, by instance: String) { (self.stream, self.instance) = (stream, instance) }

  /// What the load is refused with; nil when it does its work.
  /// - Parameters:
  ///   - output: the guest's bundle.
  ///   - trust: whom the destination believes, asked once the instance is known to be ready.
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
      _ = try load.load(
        InputFile(stream), as: .bundle, trusting: trust, options, WorkCrew(jobs: 1)
      ) { _ in }
    } catch {
      return error
    }
    return nil
  }
}
