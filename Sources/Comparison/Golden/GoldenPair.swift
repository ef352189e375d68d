internal import Errors
internal import FileIO
internal import Import
internal import Inspection
internal import QEMUStream
internal import Threads

/// An expected file and the one that was made now.
struct GoldenPair {
  /// The scenario's name for both of them.
  let name: String
  /// Path of the expected one.
  let expected: String
  /// Path of the one that was made, which no user has seen.
  let made: String

  /// - Parameters:
  ///   - file: the one that was made.
  ///   - keys: open streams.
  /// - Returns: nil for files that are the same.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ`.
  func difference(
    _ file: InputFile, _ keys: Rehearsal.Keys?, _ crew: WorkCrew
  ) throws(MigrationError) -> GoldenDifference? {
    let before = try InputFile(expected, .member)
    guard let first = try FileBytes.firstDifference(before, file) else { return nil }
    let sizes = (try before.regularSize(), try file.regularSize())
    var unread: GoldenDifference.Refusal?
    if let kind = try? before.kind(), kind.holdsStream {
      do throws(GoldenDifference.Refusal) {
        return try streams(keys, crew)
      } catch {
        unread = error
      }
    } else if let text = TextDifference(before, file)?.found {
      return text
    }
    return .bytes(first: first, before: sizes.0, after: sizes.1, unread: unread)
  }

  /// Compares streams with the keys; where these do not open both, without.
  private func streams(
    _ keys: Rehearsal.Keys?, _ crew: WorkCrew
  ) throws(GoldenDifference.Refusal) -> GoldenDifference {
    guard let keys else { return .streams(try comparison(nil, crew), unopened: nil) }
    do throws(GoldenDifference.Refusal) {
      return .streams(try comparison(keys, crew), unopened: nil)
    } catch {
      return .streams(try comparison(nil, crew), unopened: error)
    }
  }

  private func comparison(
    _ keys: Rehearsal.Keys?, _ crew: WorkCrew
  ) throws(GoldenDifference.Refusal) -> Comparison {
    var isMade = false
    do throws(MigrationError) {
      let opening = try Side.Opening(crew: crew)
      let before = try opening.side(of: .init(expected), keys: keys) { _, _ in }
      before.name = "\(name) as expected"
      isMade = true
      let after = try opening.side(of: .init(made), keys: keys) { _, _ in }
      after.name = "\(name) as made"
      return try Comparison(before, after, ignoring: [])
    } catch {
      var error = error
      // The side has put its path there.
      error.place = error.place.map {
        .file($0.name.replacing(isMade ? made : expected, with: name))
      }
      throw GoldenDifference.Refusal(isMade: isMade, error: error)
    }
  }
}
