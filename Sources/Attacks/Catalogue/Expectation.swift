package import Errors
internal import Wire

extension Attack {
  /// The required outcome of an attack.
  ///
  /// An attack may hit one of several things, depending on the seed and the guest. Each of them is
  /// a case that states the outcome of all checks together, so codes of different cases are never
  /// combined.
  package struct Expectation: Sendable, Equatable {
    /// The codes that each check may report; nil means "not refused".
    struct Case: Sendable, Equatable {
      /// `svsm-mig-verify` without keys. Empty for an offer or a source.
      var keyless: Set<ErrorCode?>
      /// `svsm-mig-verify` with the destination's instance. Empty for an offer or a source.
      var keyed: Set<ErrorCode?>
      /// `svsm-mig-load`; for an offer or a source, `svsm-mig-save`.
      var loaded: Set<ErrorCode?>
    }

    private var cases: [Case]

    /// - Parameter loaded: nil when it is the same as with keys.
    init(
      _ keyless: Set<ErrorCode?>, _ keyed: Set<ErrorCode?>, loaded: Set<ErrorCode?>? = nil
    ) {
      cases = [Case(keyless: keyless, keyed: keyed, loaded: loaded ?? keyed)]
    }

    /// The outcome for an attack on an offer or a source.
    init(saved: Set<ErrorCode?>) { self.init([], [], loaded: saved) }

    /// This expectation with one more case, for when the attack hits something else.
    func or(_ keyless: Set<ErrorCode?>, _ keyed: Set<ErrorCode?>) -> Expectation {
      var copy = self
      copy.cases.append(Case(keyless: keyless, keyed: keyed, loaded: keyed))
      return copy
    }

    /// All codes that a load, or a save, may report.
    package var loaded: Set<ErrorCode?> {
      cases.reduce(into: []) { $0.formUnion($1.loaded) }
    }

    /// Whether these codes are a permitted outcome of an attack on a stream.
    /// - Parameter isLoadedFreely: whether the load may also accept the stream, which is the
    ///   documented exception.
    package func allows(
      keyless: ErrorCode?, keyed: ErrorCode?, loaded: ErrorCode?, isLoadedFreely: Bool
    ) -> Bool {
      cases.contains {
        $0.keyless.contains(keyless) && $0.keyed.contains(keyed)
          && (isLoadedFreely || $0.loaded.contains(loaded))
      }
    }

    /// The cases as text: the codes without keys, with keys, and of a load.
    package var text: String {
      cases.map { one in
        [one.keyless, one.keyed, one.loaded].map { set in
          set.map { $0?.rawValue ?? "-" }.sorted().joined(separator: "/")
        }
        .joined(separator: ", ")
      }
      .joined(separator: "; or ")
    }
  }
}
