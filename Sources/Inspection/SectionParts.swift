internal import Cryptography
package import Errors
package import QEMUStream

/// What the sections hold that come in parts, as dirty bitmaps do: the bytes of all parts of a section, in their
/// order and wherever they are cut.
package struct SectionParts {
  /// The bytes of one section.
  package struct Content: Equatable, Sendable {
    package let size: UInt64
    package let sha256: [UInt8]
  }

  private struct Key: Hashable {
    let section: SectionKey
    let repetition: Int

    init(_ header: SectionHeader) { (section, repetition) = (header.key, header.repetition) }
  }

  /// A class, since what it holds cannot be copied.
  private final class Running {
    var size: UInt64 = 0
    var digest: SHA256

    init() throws(MigrationError) { digest = try SHA256() }
  }

  private var sections: [Key: Running] = [:]

  package init() {}

  /// Takes the next part of a section.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  package mutating func take(
    _ header: SectionHeader, _ body: Span<UInt8>
  ) throws(MigrationError) {
    let key = Key(header)
    let running: Running
    if let known = sections[key] {
      running = known
    } else {
      running = try Running()
      sections[key] = running
    }
    running.size += UInt64(body.count)
    try running.digest.update(body)
  }

  /// The bytes of a section so far; nil for one without parts.
  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  package func content(of header: SectionHeader) throws(MigrationError) -> Content? {
    guard let running = sections[Key(header)] else { return nil }
    return Content(size: running.size, sha256: try running.digest.snapshot())
  }
}
