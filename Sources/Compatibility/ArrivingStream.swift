package import Errors
package import QEMUStream

/// What a destination meets in a plain QEMU stream, its RAM aside.
package struct ArrivingStream: Sendable {
  /// nil in a stream without a configuration section.
  package var configuration: Configuration?
  package var blocks: [RAMBlock] = []
  /// Starts and full ones, in order.
  package var sections: [SectionHeader] = []
  package var description: VMDescription?
  /// The first section whose end nothing tells: what comes after it is not known.
  package var unread: SectionHeader?

  package init() {}

  /// Reads a stream to its end.
  /// - Parameter reader: nothing read yet.
  /// - Throws: what `QEMUStreamReader` refuses.
  package init(reading reader: consuming QEMUStreamReader) throws(MigrationError) {
    while true {
      switch try reader.next() {
      case .configuration: configuration = reader.configuration
      case .section(let header):
        if header.kind == .start || header.kind == .full { sections.append(header) }
      case .unreadable(let header): unread = header
      case .ram(.blockList): blocks = reader.ram.blocks
      case .description: description = try reader.requireDescription()
      case .ram, .confidential, .mappedPages, .command, .endOfSections: break
      case .end:
        if description == nil { description = reader.description }
        return
      }
    }
  }
}
