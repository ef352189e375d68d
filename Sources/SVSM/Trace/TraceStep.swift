package import Errors
package import SEVSNP

/// A call of the trusted side, as traces name it (`Formats/replay.md`, section 3).
package enum TraceCall: String, Sendable, CaseIterable {
  case createTransferData = "create-transfer-data"
  case validateAttributes = "validate-attributes"
  case packagePages = "package-pages"
  case beginEpoch = "begin-epoch"
  case pause
  case checkPages = "check-pages"
  case closeEpoch = "close-epoch"
  case packageFinalState = "package-final-state"
  case commit
  case signSeal = "sign-seal"
  case processTransferData = "process-transfer-data"
  case processPages = "process-pages"
  case processEpochToken = "process-epoch-token"
  case processFinalState = "process-final-state"
  case processCommit = "process-commit"

  /// The section that holds the records of the call; nil when there is none, or it depends on the
  /// record.
  var section: Place? {
    switch self {
    case .createTransferData, .processTransferData: .session
    case .packagePages, .processPages: .pages
    case .closeEpoch, .processEpochToken: .epochs
    case .commit, .processCommit: .commit
    case .signSeal: .seal
    case .validateAttributes, .beginEpoch, .pause, .checkPages, .packageFinalState,
      .processFinalState:
      nil
    }
  }
}

/// One step of the trusted side: a call, the records that it is about, and what is known after it.
///
/// A step never contains a key, a digest, a tag or plaintext, and no time of day: two runs over the
/// same input give the same steps.
package struct TraceStep: Sendable, Equatable {
  /// Consecutive page records of consecutive pages, or consecutive pages that were compared with
  /// their exports.
  package struct Pages: Sendable, Equatable {
    /// What the records say; of pages that were compared only the address.
    package struct Record: Sendable, Equatable {
      /// Sequence number of the first record.
      package var sequence: UInt64
      package var operation: PageMetadata.Operation
      package var size: RMPPageSize
      package var permissions: VMPLPermissions
    }

    /// Guest-physical address of the first page.
    package var gpa: UInt64
    package var count: UInt64
    package var record: Record?
  }

  /// The state of consecutive pages before and after the call.
  package struct Change: Sendable, Equatable {
    /// A state of the guest's page-state map or, of a page record, whether the page is present at
    /// the destination.
    package enum State: Sendable, Equatable {
      case known(PageState)
      case present
      case absent
    }

    package var pages: Range<UInt64>
    package var before: State
    package var after: State
  }

  /// The final record of the call.
  package struct Final: Sendable, Equatable {
    package var kind: FinalRecord.Kind
    package var index: UInt32
    package var sequence: UInt64
  }

  /// Counters after the call.
  package struct Counts: Sendable, Equatable {
    /// Page records of all epochs.
    package var records: UInt64 = 0
    /// Private pages that are exported and not withdrawn.
    package var present: UInt64 = 0
    /// Page records of the epoch, by operation.
    package var epoch = PageCounts()
    /// Final records.
    package var final: UInt64 = 0

    init() {}
  }

  /// Most changes of page states that one step holds.
  package static let changeLimit = 4096

  /// Number of the step, from 1.
  package var number: UInt64 = 0
  package var call: TraceCall
  /// Phase of the session before and after the call, as `Formats/api.md`, section 1, names it.
  package var before: String
  package var after: String
  /// The code with which the call was refused; nil for a call that succeeded.
  package var refusal: ErrorCode?
  /// The epoch that was open before the call, from 1.
  package var epoch: UInt32
  package var pages: Pages?
  package var final: Final?
  /// Of the call that closes an epoch: whether its token is the last.
  package var isLast: Bool?
  package var changes: [Change] = []
  /// Number of changes beyond `changeLimit`.
  package var changesOmitted = 0
  package var counts: Counts
  /// The section that holds the records, and the stream offset of the first of them; nil when the
  /// call has none, or it is not known yet.
  package var section: Place?
  package var offset: UInt64?
}
