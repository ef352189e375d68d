package import Errors
package import QEMUStream
package import Wire

// The encodings of a machine state: the body of the section `snp-machine`, where some bodies are
// elsewhere, and the file of a guest bundle, where all bodies are inline (`Formats/stream.md`,
// "snp-machine").

/// A machine state that was read, and the bodies that it still lacks.
package struct MachineFrame: Sendable, Equatable {
  /// The state. Bodies that are elsewhere are empty until they are filled in.
  package internal(set) var state: MachineState
  /// A body that is elsewhere.
  struct Missing: Sendable, Equatable {
    var place: MachineState.Place
    var length: Int
  }
  /// The missing bodies by entry number: a frame may have tens of thousands.
  private(set) var missing: [Int: Missing]

  fileprivate init(_ state: MachineState, missing: [Int: Missing]) {
    (self.state, self.missing) = (state, missing)
  }

  /// The sections that follow in the stream, each with its header and the length of its body.
  package var following: [(entry: Int, header: SectionHeader, length: Int)] {
    state.entries.enumerated().compactMap { index, entry in
      guard case .section(let header, _) = entry, let missing = missing[index],
        missing.place == .section
      else { return nil }
      return (index, header, missing.length)
    }
  }

  /// Whether it still lacks a body that the SVSM must have carried.
  var lacksSealed: Bool { missing.values.contains { $0.place == .sealed } }

  /// Fills in a body.
  /// - Throws: `MACHINE-SYNTAX` when the entry lacks no body of this length from this place.
  mutating func fill(
    _ entry: Int, _ body: [UInt8], from place: MachineState.Place
  ) throws(MigrationError) {
    guard missing[entry] == Missing(place: place, length: body.count) else {
      throw MigrationError(
        .machineSyntax, "machine state has no such section", in: .machine,
        got: "entry \(entry), \(body.count) bytes")
    }
    missing[entry] = nil
    switch state.entries[entry] {
    case .section(let header, _):
      state.entries[entry] = .section(header, body: body)
    case .rest: state.entries[entry] = .rest(body)
    case .command, .ram: break
    }
  }

  /// Fills in what the SVSM carried for an entry. The entry must have the identity under which the
  /// SVSM carried it.
  /// - Throws: `MACHINE-SYNTAX`.
  mutating func fill(_ entry: Int, _ piece: SealedMachine.Piece) throws(MigrationError) {
    let identity: SealedMachine.Identity? =
      switch state.entries.indices.contains(entry) ? state.entries[entry] : nil {
      case .section(let header, _): .init(header)
      case .rest: .init()
      case .command, .ram, nil: nil
      }
    guard identity == piece.identity else {
      throw MigrationError(
        .machineSyntax, "entry of the machine differs from the SVSM's entry",
        in: .machine, expected: SectionName(piece.identity.name)?.description,
        got: "entry \(entry)")
    }
    try fill(entry, piece.content, from: .sealed)
  }

  /// The state, complete.
  /// - Throws: `MACHINE-SYNTAX` when a body is still missing.
  func whole() throws(MigrationError) -> MachineState {
    if let first = missing.keys.min() {
      throw MigrationError(
        .machineSyntax, "body of a section of the machine is missing", in: .machine,
        got: "entry \(first)")
    }
    return state
  }
}

extension MachineState {
  /// The fixed part of a machine state; configuration, description and entries follow.
  package struct Layout: WireRecord {
    package static let name = "machine"

    /// Bytes after this field.
    package var length: BE32
    /// 1.
    package var version: BE16
    /// Bit 0 footers, 1 description, 2 configuration.
    package var flags: BE16
    /// Entries, at most 65536.
    package var count: BE32
    package var configurationLength: BE32
    package var descriptionLength: BE32
    /// Zero.
    package var reserved: BE32
  }

  /// The fixed part of an entry; its name and, if inline, its body follow.
  package struct EntryLayout: WireRecord {
    package static let name = "machine-entry"

    /// Type of the record in a QEMU stream: 1 to 4, 8; 0 for the rest.
    package var type: U8
    /// Place of the body: 0 here, 1 a section after this, 2 sealed, 3 RAM.
    package var place: U8
    /// 0 for a command.
    package var nameLength: U8
    /// Zero.
    package var reserved: U8
    /// Id of the section; for a command, its code.
    package var id: BE32
    package var instance: BE32
    package var version: BE32
    /// Length of the body in bytes.
    package var length: BE32

    /// An entry without a name.
    fileprivate init(type: UInt8, _ place: Place, id: UInt32 = 0, length: Int) {
      self.init()
      (self.type, self.place, self.id) = (U8(type), U8(place.rawValue), BE32(id))
      self.length = BE32(UInt32(length))
    }

    fileprivate init(_ header: SectionHeader, _ place: Place, length: Int) {
      self.init(type: header.kind.rawValue, place, id: header.id, length: length)
      nameLength = U8(UInt8(header.name.bytes.count))
      (instance, version) = (BE32(header.instance), BE32(header.version))
    }
  }

  /// The version of a machine state.
  fileprivate static let version: UInt16 = 1

  /// Type of the entry that holds the rest of the stream.
  static let restType: UInt8 = 0

  /// The state with all bodies inline.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(encodedSize)
    encode(placing: { _ in .inline }, { bytes += $0 })
    return bytes
  }

  /// Bytes of the state with all bodies inline.
  var encodedSize: Int { size { _ in .inline } }

  /// Bytes of the body of a section `snp-machine`.
  var framedSize: Int { size(placing: Self.place(of:)) }

  /// Gives out the body of a section `snp-machine`, piece by piece.
  func encodeFramed(
    _ emit: ([UInt8]) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    try encode(placing: Self.place(of:), emit)
  }

  private var encodedConfiguration: [UInt8] {
    var bytes: [UInt8] = []
    if let configuration { bytes.append(configuration) }
    return bytes
  }

  /// An entry as it is encoded; the body is empty unless it is inline.
  private static func parts(
    of entry: Entry, in place: Place
  ) -> (fixed: EntryLayout, name: [UInt8], body: [UInt8]) {
    switch entry {
    case .ram(let header): (EntryLayout(header, .ram, length: 0), header.name.bytes, [])
    case .section(let header, let body):
      (
        EntryLayout(header, place, length: body.count), header.name.bytes,
        place == .inline ? body : []
      )
    case .rest(let body):
      (
        EntryLayout(type: restType, place, length: body.count), [], place == .inline ? body : []
      )
    case .command(let command):
      (
        EntryLayout(
          type: RecordType.command.rawValue, .inline, id: UInt32(command.code.rawValue),
          length: command.payload.count), [], command.payload
      )
    }
  }

  private func size(placing place: (Entry) -> Place) -> Int {
    let head = Layout.size + encodedConfiguration.count + (description?.count ?? 0)
    return entries.reduce(head) { size, entry in
      let parts = Self.parts(of: entry, in: place(entry))
      return size + EntryLayout.size + parts.name.count + parts.body.count
    }
  }

  private func encode<Failure: Error>(
    placing place: (Entry) -> Place, _ emit: ([UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    let machine = encodedConfiguration
    let text = description ?? []
    var record = Layout()
    record.length = BE32(UInt32(size(placing: place) - Layout.range(of: \.length).upperBound))
    record.version = BE16(Self.version)
    record.flags = BE16(
      (hasFooters ? 1 : 0) | (description == nil ? 0 : 2) | (configuration == nil ? 0 : 4))
    record.count = BE32(UInt32(entries.count))
    record.configurationLength = BE32(UInt32(machine.count))
    record.descriptionLength = BE32(UInt32(text.count))
    try emit(record.bytes + machine)
    try emit(text)
    for entry in entries {
      let parts = Self.parts(of: entry, in: place(entry))
      try emit(parts.fixed.bytes + parts.name)
      try emit(parts.body)
    }
  }

  /// Decodes a state with all bodies.
  /// - Throws: `MACHINE-SYNTAX`.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    let span = bytes.span
    var cursor = ByteCursor(span)
    do {
      self = try MachineFrame(from: &cursor, isWhole: true).whole()
    } catch {
      throw error.within(.machineState)
    }
  }
}

extension MachineFrame {
  /// Decodes the bytes of `cursor`, to its end.
  /// - Parameter isWhole: whether all bodies are inline, as in a guest bundle; else each is in its
  ///   own place.
  /// - Throws: `MACHINE-SYNTAX`, with offsets.
  init(from cursor: inout ByteCursor, isWhole: Bool) throws(MigrationError) {
    do {
      var places: [UInt64] = []
      try self.init(reading: &cursor, isWhole: isWhole, &places)
      try state.validate(at: places)
    } catch {
      guard error.code == .streamTruncated else { throw error }
      var error = error
      error.code = .machineSyntax
      throw error
    }
  }

  /// - Parameter places: receives the offset at which each entry begins.
  private init(
    reading cursor: inout ByteCursor, isWhole: Bool, _ places: inout [UInt64]
  ) throws(MigrationError) {
    let start = cursor.offset
    let record = try cursor.read(MachineState.Layout.self)
    func refusal<Field: WireField>(
      _ what: String, _ field: KeyPath<MachineState.Layout, Field>, _ got: String? = nil
    ) -> MigrationError {
      MigrationError(
        .machineSyntax, what, at: MachineState.Layout.offset(of: field, from: start), got: got)
    }
    let behind = MachineState.Layout.size - MachineState.Layout.range(of: \.length).upperBound
    guard Int(record.length.value) == cursor.remaining + behind else {
      throw refusal("wrong length", \.length, "\(record.length.value)")
    }
    guard record.version.value == MachineState.version else {
      throw refusal("unknown version", \.version, "\(record.version.value)")
    }
    let (flags, count) = (record.flags.value, record.count.value)
    let (configurationLength, descriptionLength) = (
      Int(record.configurationLength.value), Int(record.descriptionLength.value)
    )
    guard flags & ~7 == 0, record.reserved.isZero else {
      throw refusal("reserved bits are set", \.flags)
    }
    guard count <= MachineState.maximumCount else {
      throw refusal("too many entries", \.count, "\(count)")
    }
    guard flags & 4 != 0 || configurationLength == 0, flags & 2 != 0 || descriptionLength == 0,
      descriptionLength <= VMDescription.sizeLimit
    else { throw refusal("lengths and flags do not fit", \.configurationLength) }
    var state = MachineState()
    state.hasFooters = flags & 1 != 0
    let machine = try cursor.takeArray(configurationLength)
    if flags & 4 != 0 {
      state.configuration = try Self.configuration(
        machine, at: start + UInt64(MachineState.Layout.size))
    }
    let text = try cursor.takeArray(descriptionLength)
    if flags & 2 != 0 { state.description = text }
    var missing: [Int: Missing] = [:]
    var repetitions: [SectionKey: Int] = [:]
    for index in 0..<Int(count) {
      places.append(cursor.offset)
      state.entries.append(
        try Self.entry(from: &cursor, index, isWhole: isWhole, &missing, &repetitions))
    }
    guard cursor.remaining == 0 else {
      throw refusal("more follows the last entry", \.length, "\(cursor.remaining) bytes")
    }
    let size = missing.values.reduce(state.encodedSize) { $0 + $1.length }
    guard size <= MachineState.maximumSize else {
      var error = refusal("bodies are too long", \.length, "\(size) bytes")
      error.expected = "at most \(MachineState.maximumSize) bytes with all bodies"
      throw error
    }
    self.init(state, missing: missing)
  }

  private static func configuration(
    _ bytes: [UInt8], at offset: UInt64
  ) throws(MigrationError) -> Configuration {
    let input = StreamInput(ArraySource(bytes), capacity: 4096, offset: offset)
    do throws(MigrationError) {
      guard try input.readRecordType() == .configuration else {
        throw MigrationError(.machineSyntax, "no configuration", at: offset)
      }
      let configuration = try input.readConfiguration()
      guard try input.isAtEnd() else {
        throw MigrationError(.machineSyntax, "bytes follow the configuration", at: input.offset)
      }
      return configuration
    } catch {
      var error = error
      error.code = .machineSyntax
      throw error
    }
  }

  private static func entry(
    from cursor: inout ByteCursor, _ index: Int, isWhole: Bool, _ missing: inout [Int: Missing],
    _ repetitions: inout [SectionKey: Int]
  ) throws(MigrationError) -> MachineState.Entry {
    let start = cursor.offset
    let record = try cursor.read(MachineState.EntryLayout.self)
    func refusal<Field: WireField>(
      _ what: String, _ field: KeyPath<MachineState.EntryLayout, Field>
    ) -> MigrationError {
      MigrationError(
        .machineSyntax, what, at: MachineState.EntryLayout.offset(of: field, from: start),
        got: "entry \(index)")
    }
    let (type, nameLength) = (record.type.value, Int(record.nameLength.value))
    let (id, length) = (record.id.value, Int(record.length.value))
    let (instance, version) = (record.instance.value, record.version.value)
    let nameBytes = try cursor.takeArray(nameLength)
    guard record.reserved.isZero else { throw refusal("reserved byte is not zero", \.reserved) }
    guard let place = MachineState.Place(rawValue: record.place.value) else {
      throw refusal("unknown place", \.place)
    }
    if type == RecordType.command.rawValue {
      guard place == .inline, nameLength == 0, instance == 0, version == 0,
        let code = UInt16(exactly: id).flatMap(StreamCommand.Code.init(rawValue:)),
        code.allows(length)
      else { throw refusal("not a command", \.id) }
      return .command(StreamCommand(code, payload: try cursor.takeArray(length)))
    }
    if type == MachineState.restType {
      guard nameLength == 0, id == 0, instance == 0, version == 0 else {
        throw refusal("the rest has no name", \.nameLength)
      }
      guard place == (isWhole ? .inline : MachineState.place(of: .rest([]))) else {
        throw refusal("the rest is not in its place", \.place)
      }
      if isWhole { return .rest(try cursor.takeArray(length)) }
      missing[index] = Missing(place: place, length: length)
      return .rest([])
    }
    guard let kind = SectionHeader.Kind(rawValue: type), let name = SectionName(nameBytes) else {
      throw refusal("not a section", \.type)
    }
    var header = SectionHeader(kind, id: id, name: name, instance: instance, version: version)
    if kind == .full {
      header.repetition = repetitions[header.key, default: 0]
      repetitions[header.key] = header.repetition + 1
    }
    if place == .ram {
      guard length == 0 else { throw refusal("RAM must not have a body here", \.length) }
      return .ram(header)
    }
    let bare = MachineState.Entry.section(header, body: [])
    guard place == (isWhole ? .inline : MachineState.place(of: bare)) else {
      throw refusal("body of \(name) is not in its place", \.place)
    }
    if place == .inline { return .section(header, body: try cursor.takeArray(length)) }
    missing[index] = Missing(place: place, length: length)
    return bare
  }
}
