package import FileIO
internal import Glibc

/// Colours for text that a person reads: used on a terminal, but not if `NO_COLOR` is set
/// (no-color.org) or the terminal has no colours.
package struct Style: Sendable {
  private let isOn: Bool

  package init(for stream: StandardStream) {
    isOn =
      stream.isTerminal && (environment("NO_COLOR") ?? "").isEmpty
      && environment("TERM") != "dumb"
  }

  package func good(_ text: String) -> String { wrap(text, "32") }
  package func bad(_ text: String) -> String { wrap(text, "31;1") }
  package func doubtful(_ text: String) -> String { wrap(text, "33") }
  package func strong(_ text: String) -> String { wrap(text, "1") }
  package func dim(_ text: String) -> String { wrap(text, "2") }

  private func wrap(_ text: String, _ code: String) -> String {
    isOn ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }
}

/// A variable of the process's environment.
private func environment(_ name: String) -> String? {
  // The C string is copied at once. The tools never change the environment, so the string stays
  // valid for the copy.
  unsafe getenv(name).map { unsafe String(cString: $0) }
}
