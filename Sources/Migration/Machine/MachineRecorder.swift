package import Errors
package import QEMUStream
internal import Wire

/// Collects the machine state of a QEMU stream while it is read.
package struct MachineRecorder {
  /// Commands that need nothing from the other side, and so make sense in a file.
  private static let keptCommands: [StreamCommand.Code] = [.postcopyAdvise, .switchoverStart]

  private var state = MachineState()
  private var bodies = 0
  private var ramKinds: Set<SectionHeader.Kind> = []
  private var isPostcopy = false

  package init() {}

  /// Sections so far other than `ram`, with their bodies and the stream offsets of the bodies.
  package private(set) var sections: [(header: SectionHeader, offset: UInt64, body: [UInt8])] = []

  /// Whether every section was read; false after one whose end cannot be found.
  package private(set) var isRead = true

  /// Takes an event. Call it before the next event is requested.
  /// - Throws: what finding the end of a body throws; `SECTION-LENGTH` when all bodies together are
  ///   too long.
  package mutating func take(
    _ event: StreamEvent, from reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    switch event {
    case .configuration: state.configuration = reader.configuration
    case .section(let header) where header.name == RAMSection.name: takeRAM(header)
    case .section(let header): try take(header, &reader)
    case .command(let command):
      if command.code == .postcopyListen { isPostcopy = true }
      if Self.keptCommands.contains(command.code) { state.entries.append(.command(command)) }
    case .description(let size):
      state.description = Array(copying: reader.input.bytes.extracting(first: size))
    case .unreadable(let header): try takeRest(from: header, &reader)
    case .ram, .confidential, .mappedPages, .endOfSections, .end: break
    }
  }

  /// The machine state, complete at the end of the stream.
  /// - Throws: `MACHINE-SYNTAX` when the stream's sections cannot be one machine's; `SECTION-LENGTH`
  ///   when they are too long together with their names and their description.
  package func finish(_ reader: QEMUStreamReader) throws(MigrationError) -> MachineState {
    var state = state
    state.hasFooters = reader.hasFooters ?? true
    // RAM is in plain records when the state is written to a stream again.
    if var capabilities = state.configuration?.capabilities {
      capabilities.removeAll { $0 == "mapped-ram" || $0 == "x-ignore-shared" }
      state.configuration?.capabilities = capabilities.isEmpty ? nil : capabilities
    }
    if isPostcopy {
      state.entries.removeAll {
        if case .command(let command) = $0 { command.code == .postcopyAdvise } else { false }
      }
    }
    try addPages(&state)
    try state.validate()
    let size = state.encodedSize
    guard size <= MachineState.maximumSize else {
      throw MigrationError(
        .sectionLength, "devices of the machine and their description are too large",
        expected: "at most \(MachineState.maximumSize) bytes together", got: "\(size)")
    }
    return state
  }

  private mutating func takeRAM(_ header: SectionHeader) {
    guard ramKinds.insert(header.kind).inserted else { return }
    state.entries.append(.ram(header))
  }

  /// Adds a part to the `ram` section when no RAM came in parts.
  private func addPages(_ state: inout MachineState) throws(MigrationError) {
    guard !ramKinds.contains(.part),
      let start = state.entries.firstIndex(where: {
        if case .ram(let header) = $0 { header.kind == .start } else { false }
      }), case .ram(var header) = state.entries[start]
    else { return }
    header.kind = .part
    let end = state.entries.firstIndex {
      if case .ram(let header) = $0 { header.kind == .end } else { false }
    }
    state.entries.insert(.ram(header), at: end ?? start + 1)
  }

  /// Takes the rest of the stream, from a section whose end cannot be found.
  private mutating func takeRest(
    from header: SectionHeader, _ reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    var rest: [UInt8] = []
    rest.append(header)
    let input = reader.input
    while try !input.isAtEnd() {
      try limit(input.count, header)
      rest.append(copying: input.bytes)
      input.consume(input.count)
    }
    state.entries.append(.rest(rest))
    isRead = false
  }

  private mutating func limit(_ size: Int, _ header: SectionHeader) throws(MigrationError) {
    bodies += size
    guard bodies <= MachineState.maximumSize else {
      throw MigrationError(
        .sectionLength, "devices of the machine are too large",
        in: .section(header.name), at: header.offset,
        expected: "at most \(MachineState.maximumSize) bytes together")
    }
  }

  private mutating func take(
    _ header: SectionHeader, _ reader: inout QEMUStreamReader
  ) throws(MigrationError) {
    let size = try reader.requireBody()
    try limit(size, header)
    let input = reader.input
    let body = Array(copying: input.bytes.extracting(first: size))
    sections.append((header, input.offset, body))
    var header = header
    header.offset = 0
    state.entries.append(.section(header, body: body))
  }
}
