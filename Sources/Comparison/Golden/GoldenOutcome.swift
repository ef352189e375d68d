package import Errors

/// What came of one scenario.
package struct GoldenOutcome {
  package enum Status: String, Sendable {
    /// The file is as it is expected.
    case same
    case differs
    /// There is no such file among the expected ones.
    case missing
    /// It was written to the expected ones.
    case updated
  }

  /// One expected file.
  package struct File {
    package var name: String
    package var status: Status
    /// Nil for a file that is the same.
    package var difference: GoldenDifference?
  }

  /// A line that could not be done; the scenario ends with it.
  package struct Failure: Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
      /// A call ended in another way than it should. The message is the last lines of its standard error.
      case ended(GoldenScenario.Call, status: Int32, message: String)
      case refused(MigrationError)
    }

    /// Counted from 1.
    package var line: Int
    package var reason: Reason
  }

  package let name: String
  package internal(set) var files: [File] = []
  package internal(set) var failure: Failure?

  /// Whether all is as it is expected, or has been made so.
  package var isGood: Bool {
    failure == nil && files.allSatisfy { $0.status == .same || $0.status == .updated }
  }
}

/// How a file differs from the expected one.
package enum GoldenDifference {
  /// Two streams. Those that the scenario's instance cannot open are compared without it.
  case streams(Comparison, unopened: Refusal?)
  /// Two JSON texts: the values that differ, the first of them, and how many others do.
  case values([Difference], omitted: Int)
  /// Two texts: the first line that differs, counted from 1, and how many lines differ.
  case lines(first: Int, before: String, after: String, count: Int)
  /// The first byte that differs, and the sizes; of streams also why they could not be compared as such.
  case bytes(first: UInt64, before: UInt64, after: UInt64, unread: Refusal?)

  /// Why a stream could not be read.
  package struct Refusal: Error, Equatable {
    /// Whether it is the stream that was made now, not the expected one.
    package var isMade: Bool
    package var error: MigrationError
  }
}
