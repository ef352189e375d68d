package import Errors
internal import Wire

extension Attack {
  /// What must come of an attack.
  ///
  /// An attack may hit one of several things: which, the seed and the guest decide. Each is a case of its
  /// own, and says what all checks must say then: the codes of two cases do not mix.
  package struct Expectation: Sendable, Equatable {
    /// What each check may say; nil is "not refused".
    struct Case: Sendable, Equatable {
      /// `svsm-mig-verify` without keys. Of an offer or a source: nothing.
      var keyless: Set<ErrorCode?>
      /// `svsm-mig-verify` with the destination's instance.
      var keyed: Set<ErrorCode?>
      /// `svsm-mig-load`; of an offer or a source, `svsm-mig-save`.
      var loaded: Set<ErrorCode?>
    }

    private var cases: [Case]

    /// - Parameter loaded: nil when it is as with keys.
    init(
      _ keyless: Set<ErrorCode?>, _ keyed: Set<ErrorCode?>, loaded: Set<ErrorCode?>? = nil
    ) {
      cases = [Case(keyless: keyless, keyed: keyed, loaded: loaded ?? keyed)]
    }

    /// Of an offer or a source.
    init(saved: Set<ErrorCode?>) { self.init([], [], loaded: saved) }

    /// The same, or what comes of it when something else is hit.
    func or(_ keyless: Set<ErrorCode?>, _ keyed: Set<ErrorCode?>) -> Expectation {
      var copy = self
      copy.cases.append(Case(keyless: keyless, keyed: keyed, loaded: keyed))
      return copy
    }

    /// All that a load, or a save, may say.
    package var loaded: Set<ErrorCode?> {
      cases.reduce(into: []) { $0.formUnion($1.loaded) }
    }

    /// Whether this may come of an attack on a stream.
    /// - Parameter isLoadedFreely: whether the load may take it as well: the documented exception.
    package func allows(
      keyless: ErrorCode?, keyed: ErrorCode?, loaded: ErrorCode?, isLoadedFreely: Bool
    ) -> Bool {
      cases.contains {
        $0.keyless.contains(keyless) && $0.keyed.contains(keyed)
          && (isLoadedFreely || $0.loaded.contains(loaded))
      }
    }

    /// The cases in words: codes without keys, with keys, of a load.
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
