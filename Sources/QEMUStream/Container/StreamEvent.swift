/// An event of `QEMUStreamReader`.
package enum StreamEvent: Equatable, Sendable {
  /// The configuration was read: see `reader.configuration`.
  case configuration
  /// A section begins. For `ram`, its records follow as `.ram`. For any other, its body comes next
  /// in the input: see `QEMUStreamReader.requireBody` and `bodyWasRead`.
  case section(SectionHeader)
  /// A section begins whose end cannot be found: the stream has no footers, and there is no
  /// description of the section. The next event skips the rest of the stream.
  case unreadable(SectionHeader)
  /// A record of a `ram` section; a payload is at the front of the window until the next event.
  case ram(RAMRecord)
  /// A record of a confidential guest was read: see `reader.confidential`. The value is the page
  /// that the record exports, if it names the page by block and offset.
  case confidential(RAMPage?)
  /// The bitmap and pages of a mapped-ram block come next in the input, up to its `end`. The next
  /// event passes over what the caller does not consume of them.
  case mappedPages(MappedBlock)
  /// A command. After a `packaged` command, the nested records follow as events of their own.
  case command(StreamCommand)
  /// The sections have ended.
  case endOfSections
  /// A VM description of `size` bytes is at the front of the window until the next event.
  case description(size: Int)
  /// The stream has ended.
  case end
}
