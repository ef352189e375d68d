// The phases of a session, named as in `Formats/api.md`, section 1.

extension SourceSVSM {
  /// The phase of a session on the source side.
  package enum Phase: Sendable, CaseIterable {
    /// Pages are exported, epoch by epoch.
    case exporting
    /// The last token was issued: no page is exported any more.
    case drained
    /// Final state was packaged.
    case described
    /// The commit was issued: the guest must not run here any more.
    case committed
    /// Final state was not packaged completely: this session can issue no commit.
    case dead
  }
}

extension SourceSVSM {
  /// How the SVSM of a source knows at the end that each page left as it is then.
  package enum Freshness: Sendable {
    /// The guest is at rest: each page is exported once, in the only epoch.
    case atRest
    /// The guest may run: at the end all pages are compared with what was exported.
    case compared
    /// The guest may run: the SVSM relies on the host's log of the pages that have changed.
    case hostLog
  }
}

extension DestinationSVSM {
  /// The phase of a session on the destination side.
  package enum Phase: Sendable, CaseIterable {
    /// Page records and epoch tokens are processed.
    case importing
    /// The last token was good: final state and the commit are processed.
    case drained
    /// The commit was good.
    case committed
    /// A call was refused.
    case dead
  }
}

extension DestinationSVSM.Phase {
  /// The phase of a session whose records have come this far, while none was refused.
  package init(_ position: RecordPosition.Phase) {
    self =
      switch position {
      case .pages: .importing
      case .final: .drained
      case .committed: .committed
      }
  }
}
