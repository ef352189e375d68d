/// What `QEMUStreamReader` meets next.
package enum StreamEvent: Equatable, Sendable {
  /// The machine is known: `reader.configuration`.
  case configuration
  /// A section begins. For `ram`, its records follow as `.ram`. For any other, its body comes next
  /// in the input: see `QEMUStreamReader.requireBody` and `bodyWasRead`.
  case section(SectionHeader)
  /// A section begins whose end nothing tells: the stream has no footers, and there is no
  /// description of it. The next event drops the rest of the stream unread.
  case unreadable(SectionHeader)
  /// A record of a `ram` section; a payload is at the front of the window until the next event.
  case ram(RAMRecord)
  /// Something of a confidential guest was read: `reader.confidential`. The page that it exports, where it
  /// names one by its place in a block.
  case confidential(RAMPage?)
  /// The bitmap and pages of a mapped-ram block come next in the input, up to its `end`. The next
  /// event passes over what the caller does not consume of them.
  case mappedPages(MappedBlock)
  /// A command. Of `packaged`, the records it holds come next, as if they stood there themselves.
  case command(StreamCommand)
  /// The sections are over.
  case endOfSections
  /// A VM description of so many bytes is at the front of the window until the next event.
  case description(size: Int)
  /// Nothing follows.
  case end
}
