package import Errors
package import QEMUStream
package import Wire

// Machine state as bytes: the body of the section `snp-machine`, where some bodies stand elsewhere,
// and the file of a guest bundle, where none does (`Formats/stream.md`, "snp-machine").

/// A machine state that was read, and the bodies it still lacks.
package struct MachineFrame: Sendable, Equatable {
  /// Bodies that stand elsewhere are empty until they are put in.
  package internal(set) var state: MachineState
  /// A body that stands elsewhere.
  struct Missing: Sendable, Equatable {
    var place: MachineState.Place
    var length: Int
  }
  /// By the entry that lacks it: a frame may have tens of thousands.
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

  /// Whether the SVSM must have carried a body.
  var lacksSealed: Bool { missing.values.contains { $0.place == .sealed } }

  /// Puts a body in.
  /// - Throws: `MACHINE-SYNTAX` when no body of this length is missing there.
  mutating func fill(
    _ entry: Int, _ body: Span<UInt8>, from place: MachineState.Place
  ) throws(MigrationError) {
    guard missing[entry] == Missing(place: place, length: body.count) else {
      throw MigrationError(
        .machineSyntax, "machine state has no such section", in: .machine,
        got: "entry \(entry), \(body.count) bytes")
    }
    missing[entry] = nil
    switch state.entries[entry] {
    case .section(let header, _):
      state.entries[entry] = .section(header, body: Array(copying: body))
    case .rest: state.entries[entry] = .rest(Array(copying: body))
    case .command, .ram: break
    }
  }

  /// Puts in what the SVSM carried for an entry, which must be called as the SVSM knows it.
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
        .machineSyntax, "entry of the machine is not what the SVSM carried this for",
        in: .machine, expected: SectionName(piece.identity.name)?.description,
        got: "entry \(entry)")
    }
    try fill(entry, piece.content.span, from: .sealed)
  }

  /// The state, once nothing is missing.
  /// - Throws: `MACHINE-SYNTAX`.
  func whole() throws(MigrationError) -> MachineState {
    if let first = missing.keys.min() {
      throw MigrationError(
        .machineSyntax, "body of a section of the machine never came", in: .machine,
        got: "entry \(first)")
    }
    return state
  }
}

extension MachineState {
  /// The fixed part, big-endian; configuration, description and entries follow.
  ///
  ///     offset  size  field
  ///          0     4  length                bytes behind this field
  ///          4     2  version               1
  ///          6     2  flags                 bit 0 footers, 1 description, 2 configuration
  ///          8     4  count                 entries, at most 65536
  ///         12     4  configuration_length
  ///         16     4  description_length
  ///         20     4  reserved              zero
  package static let layout = RecordLayout(
    "machine",
    [
      "length": 4, "version": 2, "flags": 2, "count": 4, "configuration_length": 4,
      "description_length": 4, "reserved": 4,
    ])

  /// The fixed part of an entry, big-endian; its name and, if inline, its body follow.
  ///
  ///     offset  size  field
  ///          0     1  type          as the record's in a QEMU stream: 1 to 4, 8; 0 for the rest
  ///          1     1  place         of the body: 0 here, 1 a section behind, 2 sealed, 3 RAM
  ///          2     1  name_length   0 for a command
  ///          3     1  reserved      zero
  ///          4     4  id            of the section; of a command, its code
  ///          8     4  instance
  ///         12     4  version
  ///         16     4  length        bytes of the body
  package static let entryLayout = RecordLayout(
    "machine-entry",
    [
      "type": 1, "place": 1, "name_length": 1, "reserved": 1, "id": 4, "instance": 4,
      "version": 4, "length": 4,
    ])

  /// The fixed part of a piece that the SVSM carries, big-endian; its name and its content follow
  /// (`SealedMachine`).
  ///
  ///     offset  size  field
  ///          0     4  number       of the entry; with bit 31 set, of the RAM block
  ///          4     4  instance     of the section, else 0
  ///          8     4  version      of the section, else 0
  ///         12     4  length       bytes of content
  ///         16     1  name_length  bytes of the name, of the section or block; 0 of the rest
  ///         17     3  reserved     zero
  package static let sealedLayout = RecordLayout(
    "machine-sealed",
    ["number": 4, "instance": 4, "version": 4, "length": 4, "name_length": 1, "reserved": 3])

  /// Type of the entry that stands for the rest of the stream.
  static let restType: UInt8 = 0

  /// Bytes the whole may have, `length` included.
  package static let maximumSize = 64 << 20

  /// The state with all bodies.
  package var encoded: [UInt8] { encode { _ in .inline } }

  /// The body of a section `snp-machine`.
  var framed: [UInt8] { encode(placing: Self.place(of:)) }

  private func encode(placing place: (Entry) -> Place) -> [UInt8] {
    var list: [UInt8] = []
    for entry in entries {
      switch entry {
      case .ram(let header): Self.append(header, .ram, length: 0, to: &list)
      case .section(let header, let body):
        let place = place(entry)
        Self.append(header, place, length: body.count, to: &list)
        if place == .inline { list += body }
      case .rest(let body):
        let place = place(entry)
        list += [Self.restType, place.rawValue, 0, 0] + [UInt8](repeating: 0, count: 12)
        list.append(bigEndian: UInt32(body.count))
        if place == .inline { list += body }
      case .command(let command):
        list += [RecordType.command.rawValue, Place.inline.rawValue, 0, 0]
        list.append(bigEndian: UInt32(command.code.rawValue))
        list += [UInt8](repeating: 0, count: 8)
        list.append(bigEndian: UInt32(command.payload.count))
        list += command.payload
      }
    }
    var machine: [UInt8] = []
    if let configuration { machine.append(configuration) }
    let text = description ?? []
    var bytes: [UInt8] = []
    bytes.append(
      bigEndian: UInt32(Self.layout.size - 4 + machine.count + text.count + list.count))
    bytes.append(bigEndian: UInt16(1))
    bytes.append(
      bigEndian: UInt16(hasFooters ? 1 : 0) | (description == nil ? 0 : 2)
        | (configuration == nil ? 0 : 4))
    bytes.append(bigEndian: UInt32(entries.count))
    bytes.append(bigEndian: UInt32(machine.count))
    bytes.append(bigEndian: UInt32(text.count))
    bytes.append(bigEndian: UInt32(0))
    return bytes + machine + text + list
  }

  private static func append(
    _ header: SectionHeader, _ place: Place, length: Int, to bytes: inout [UInt8]
  ) {
    bytes += [header.kind.rawValue, place.rawValue, UInt8(header.name.bytes.count), 0]
    bytes.append(bigEndian: header.id)
    bytes.append(bigEndian: header.instance)
    bytes.append(bigEndian: header.version)
    bytes.append(bigEndian: UInt32(length))
    bytes += header.name.bytes
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
  /// Decodes what stands in `cursor`, to its end.
  /// - Parameter isWhole: whether all bodies stand there, as in a guest's bundle; else each in its place.
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

  /// - Parameter places: takes where each entry begins.
  private init(
    reading cursor: inout ByteCursor, isWhole: Bool, _ places: inout [UInt64]
  ) throws(MigrationError) {
    let start = cursor.offset
    func refusal(_ what: String, _ field: UInt64, _ got: String? = nil) -> MigrationError {
      MigrationError(.machineSyntax, what, at: start + field, got: got)
    }
    let length = try cursor.read(UInt32.self)
    guard Int(length) == cursor.remaining else { throw refusal("wrong length", 0, "\(length)") }
    let version = try cursor.read(UInt16.self)
    guard version == 1 else { throw refusal("unknown version", 4, "\(version)") }
    let flags = try cursor.read(UInt16.self)
    let count = try cursor.read(UInt32.self)
    let configurationLength = Int(try cursor.read(UInt32.self))
    let descriptionLength = Int(try cursor.read(UInt32.self))
    let reserved = try cursor.read(UInt32.self)
    guard flags & ~7 == 0, reserved == 0 else { throw refusal("reserved bits are set", 6) }
    guard count <= MachineState.maximumCount else {
      throw refusal("too many entries", 8, "\(count)")
    }
    guard flags & 4 != 0 || configurationLength == 0, flags & 2 != 0 || descriptionLength == 0,
      descriptionLength <= VMDescription.sizeLimit
    else { throw refusal("lengths and flags do not fit", 12) }
    var state = MachineState()
    state.hasFooters = flags & 1 != 0
    let machine = try cursor.takeArray(configurationLength)
    if flags & 4 != 0 {
      state.configuration = try Self.configuration(
        machine, at: start + UInt64(MachineState.layout.size))
    }
    let text = try cursor.takeArray(descriptionLength)
    if flags & 2 != 0 { state.description = text }
    var missing: [Int: Missing] = [:]
    var total = 0
    for index in 0..<Int(count) {
      places.append(cursor.offset)
      let entry = try Self.entry(from: &cursor, index, isWhole: isWhole, &missing)
      switch entry {
      case .section(_, let body), .rest(let body): total += body.count
      case .command, .ram: break
      }
      state.entries.append(entry)
    }
    total += missing.values.reduce(0) { $0 + $1.length }
    guard cursor.remaining == 0, total <= MachineState.maximumBodies else {
      throw refusal(
        "bodies are too long, or more follows", 0, "\(total) and \(cursor.remaining) bytes")
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
        throw MigrationError(.machineSyntax, "configuration is longer", at: input.offset)
      }
      return configuration
    } catch {
      var error = error
      error.code = .machineSyntax
      throw error
    }
  }

  private static func entry(
    from cursor: inout ByteCursor, _ index: Int, isWhole: Bool, _ missing: inout [Int: Missing]
  ) throws(MigrationError) -> MachineState.Entry {
    let start = cursor.offset
    func refusal(_ what: String, _ field: UInt64) -> MigrationError {
      MigrationError(.machineSyntax, what, at: start + field, got: "entry \(index)")
    }
    let type = try cursor.read(UInt8.self)
    let placeCode = try cursor.read(UInt8.self)
    let nameLength = Int(try cursor.read(UInt8.self))
    let reserved = try cursor.read(UInt8.self)
    let id = try cursor.read(UInt32.self)
    let instance = try cursor.read(UInt32.self)
    let version = try cursor.read(UInt32.self)
    let length = Int(try cursor.read(UInt32.self))
    let nameBytes = try cursor.takeArray(nameLength)
    guard reserved == 0 else { throw refusal("reserved byte is not zero", 3) }
    guard let place = MachineState.Place(rawValue: placeCode) else {
      throw refusal("unknown place", 1)
    }
    if type == RecordType.command.rawValue {
      guard place == .inline, nameLength == 0, instance == 0, version == 0,
        let code = UInt16(exactly: id).flatMap(StreamCommand.Code.init(rawValue:)),
        code.allows(length)
      else { throw refusal("not a command", 4) }
      return .command(StreamCommand(code, payload: try cursor.takeArray(length)))
    }
    if type == MachineState.restType {
      guard nameLength == 0, id == 0, instance == 0, version == 0 else {
        throw refusal("the rest has no name", 2)
      }
      guard place == (isWhole ? .inline : MachineState.place(of: .rest([]))) else {
        throw refusal("the rest is not in its place", 1)
      }
      if isWhole { return .rest(try cursor.takeArray(length)) }
      missing[index] = Missing(place: place, length: length)
      return .rest([])
    }
    guard let kind = SectionHeader.Kind(rawValue: type), let name = SectionName(nameBytes) else {
      throw refusal("not a section", 0)
    }
    let header = SectionHeader(kind, id: id, name: name, instance: instance, version: version)
    if place == .ram {
      guard length == 0 else { throw refusal("RAM has no body here", 16) }
      return .ram(header)
    }
    let bare = MachineState.Entry.section(header, body: [])
    guard place == (isWhole ? .inline : MachineState.place(of: bare)) else {
      throw refusal("body of \(name) is not in its place", 1)
    }
    if place == .inline { return .section(header, body: try cursor.takeArray(length)) }
    missing[index] = Missing(place: place, length: length)
    return bare
  }
}
