// The states that a session goes through, by the names of `Formats/api.md`, section 1.

extension SourceSVSM {
  package enum Phase: Sendable, CaseIterable {
    /// Pages leave, epoch by epoch.
    case exporting
    /// The last token was issued: nothing of memory leaves any more.
    case drained
    /// Final state was packaged.
    case described
    /// The commit was issued: the guest runs here no more.
    case committed
    /// Final state was not taken whole: this session commits nothing.
    case dead
  }
}

extension DestinationSVSM {
  package enum Phase: Sendable, CaseIterable {
    /// Pages and tokens come.
    case importing
    /// The last token was good: final state comes, and the commit.
    case drained
    /// The commit was good.
    case committed
    /// A call was refused.
    case dead
  }
}
