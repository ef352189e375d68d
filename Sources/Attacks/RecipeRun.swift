public import Bytes
internal import Cryptography
public import FileIO
internal import Guest
internal import SEVSNP
internal import SVSM

extension Recipe {
  /// Makes what the recipe describes.
  /// - Throws: `RECIPE-SYNTAX`, `RECIPE-PLACE`, `ATTACK-NEEDS`, `IO-READ`, `IO-WRITE`.
  public func make(
    from materials: Materials, to output: any ByteOutput
  ) throws(MigrationError) {
    var run = RecipeRun(materials)
    try run.perform(lines)
    try run.write(to: output)
  }
}

/// A recipe that is being followed.
private struct RecipeRun {
  private let materials: Materials
  private var scene: Scene
  private var list: PieceList
  private var repair = Repair.none
  private var isMended = false
  private var edits: [PartKey: [LateEdit]] = [:]

  init(_ materials: Materials) {
    self.materials = materials
    let inputs = [materials.input] + [materials.second].compactMap { $0 }
    scene = Scene(inputs, seed: materials.seed)
    list = PieceList(inputs.map(\.store))
  }

  mutating func perform(_ lines: [Recipe.Line]) throws(MigrationError) {
    for line in lines {
      do throws(MigrationError) {
        try perform(line.operation)
      } catch {
        throw error.inSection("line \(line.number)")
      }
    }
  }

  private mutating func perform(_ operation: Recipe.Operation) throws(MigrationError) {
    switch operation {
    case .set(let place, let value):
      let location = try scene.locate(place)
      try change(location, to: bytes(value, size: location.size), isMask: false)
    case .flip(let place, let mask):
      let location = try scene.locate(place)
      try flip(location, mask, place)
    case .add(let place, let number): try add(number, to: place)
    case .forge(let place, let value):
      try forge(place, mask: false) { (run, size) throws(MigrationError) in
        try run.bytes(value, size: size)
      }
    case .forgeMask(let place, let mask): try forge(place, mask: true) { (_, _) in mask }
    case .repair(let repair):
      (self.repair, isMended) = (repair, true)
    case .attack(let name):
      guard let attack = Attack.named(name) else {
        throw MigrationError(.recipeSyntax, "no such attack", got: name)
      }
      try perform(attack.recipe().lines)
    default:
      guard !isMended else {
        throw MigrationError(
          .recipeSyntax, "bytes come and go before a repair",
          expected: "set, flip, add or forge behind it")
      }
      try rearrange(operation)
    }
  }

  /// Operations that move bytes.
  private mutating func rearrange(_ operation: Recipe.Operation) throws(MigrationError) {
    switch operation {
    case .cut(let place, let count):
      var location = try scene.locate(place)
      if let count {
        guard count <= location.size else { throw scene.missing(place) }
        location.size = count
      }
      try list.cut(location)
    case .insert(let side, let place, let value):
      let bytes = try bytes(value, size: nil)
      try list.insert(bytes, at: border(place, side), side)
    case .copy(let source, let isSecond, let side, let target, let label):
      try copy(source, isSecond, side, target, label)
    case .move(let source, let side, let target):
      try list.move(scene.locate(source), to: border(target, side), side)
    case .swap(let first, let second):
      try list.swap(scene.locate(first), scene.locate(second))
    case .splice(let place, let source):
      let location = try scene.locate(place)
      let range = try scene.locate(source, input: second())
      try list.insert(
        input: 1, range.offset..<range.offset + range.size, as: newSpace(1), at: location, .before)
      try list.cut(location)
    case .truncate(let place): try list.truncate(at: scene.locate(place))
    case .append(let value): list.append(try bytes(value, size: nil))
    case .signReport(let chip): try signReport(chip)
    case .bindReport: try bindReport()
    case .checksum: try computeChecksum()
    case .set, .flip, .add, .forge, .forgeMask, .repair, .attack: break
    }
  }

  private func second() throws(MigrationError) -> Int {
    guard scene.inputs.count > 1 else {
      throw MigrationError(.attackNeeds, "a second stream is needed", expected: "--second STREAM")
    }
    return 1
  }

  /// One side of a place.
  private func border(
    _ place: PlaceSyntax, _ side: Recipe.Side
  ) throws(MigrationError) -> Location {
    var location = try scene.locate(place)
    if side == .after { location.offset += location.size }
    location.size = 0
    return location
  }

  private mutating func newSpace(_ input: Int) -> Int {
    scene.spaces.append(input)
    return scene.spaces.count - 1
  }

  private mutating func copy(
    _ source: PlaceSyntax, _ isSecond: Bool, _ side: Recipe.Side, _ target: PlaceSyntax,
    _ label: String?
  ) throws(MigrationError) {
    let index = isSecond ? try second() : 0
    let location = try scene.locate(source, input: index)
    let input = location.space == 0 ? index : scene.spaces[location.space]
    let space = newSpace(input)
    try list.insert(
      input: input, location.offset..<location.offset + location.size, as: space,
      at: border(target, side), side)
    guard let label else { return }
    var named = try scene.part(source, input: index)
    named.space = space
    scene.labels[label] = named
  }

  // MARK: Changing bytes

  private mutating func change(
    _ location: Location, to bytes: [UInt8], isMask: Bool
  ) throws(MigrationError) {
    guard UInt64(bytes.count) <= location.size else {
      throw MigrationError(
        .recipePlace, "more bytes than the place has", at: location.offset,
        expected: "at most \(location.size)", got: "\(bytes.count)")
    }
    guard isMended else {
      var part = location
      part.size = UInt64(bytes.count)
      var bytes = bytes
      if isMask {
        let old = try list.read(part)
        for index in bytes.indices { bytes[index] ^= old[index] }
      }
      return try list.set(part, to: bytes)
    }
    let anatomy = scene.inputs[scene.spaces[location.space]].anatomy
    guard let part = anatomy.part(at: location.offset),
      location.offset + UInt64(bytes.count) <= part.end
    else { throw MigrationError(.recipePlace, "no part lies here", at: location.offset) }
    let start = Int(location.offset - part.start)
    edits[PartKey(space: location.space, part: part), default: []].append(
      LateEdit(
        area: .part(start..<start + bytes.count), bytes: bytes, isMask: isMask, isAfterTags: true))
  }

  private mutating func flip(
    _ location: Location, _ mask: [UInt8]?, _ place: PlaceSyntax
  ) throws(MigrationError) {
    let bit = UInt8(try scene.choose("bit of \(place.text)", below: 8))
    try change(location, to: mask ?? [1 << bit], isMask: true)
  }

  private mutating func add(_ number: Int64, to place: PlaceSyntax) throws(MigrationError) {
    let location = try scene.locate(place)
    guard 1...8 ~= location.size, !isMended else {
      throw MigrationError(
        .recipePlace, "not a number that can be added to",
        expected: "1 to 8 bytes, before a repair",
        got: "\(location.size)")
    }
    let old = try list.read(location).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let sum = old &+ UInt64(bitPattern: number)
    try list.set(location, to: Self.encode(sum, in: Int(location.size)))
  }

  private mutating func forge(
    _ place: PlaceSyntax, mask isMask: Bool,
    _ value: (inout RecipeRun, UInt64) throws(MigrationError) -> [UInt8]
  ) throws(MigrationError) {
    if case .rogue = repair {} else { (repair, isMended) = (.rogue(isMutual: true), true) }
    let target = try scene.forgeTarget(place)
    let bytes = try value(&self, UInt64(target.size))
    guard target.area == .wholePlaintext || bytes.count <= target.size else {
      throw MigrationError(
        .recipePlace, "more bytes than the place has", expected: "at most \(target.size)",
        got: "\(bytes.count)")
    }
    edits[PartKey(target.part), default: []].append(
      LateEdit(area: target.area, bytes: bytes, isMask: isMask))
  }

  // MARK: Values

  private static func encode(_ number: UInt64, in size: Int) -> [UInt8] {
    (0..<size).reversed().map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) : 0 }
  }

  /// - Parameter size: bytes of the place; nil where the value alone decides.
  private mutating func bytes(
    _ value: Recipe.Value, size: UInt64?
  ) throws(MigrationError) -> [UInt8] {
    func sized() throws(MigrationError) -> Int {
      guard let size, size <= 64 << 20 else {
        throw MigrationError(.recipeSyntax, "a value of no length", expected: "bytes in hex")
      }
      return Int(size)
    }
    switch value {
    case .bytes(let bytes): return bytes
    case .number(let number): return Self.encode(number, in: try sized())
    case .zero: return [UInt8](repeating: 0, count: try sized())
    case .ones: return [UInt8](repeating: 0xFF, count: try sized())
    case .random: return try random(sized())
    case .place(let place, let isSecond):
      if isSecond {
        let location = try scene.locate(place, input: second())
        return try scene.inputs[1].store.read(
          location.offset..<location.offset + min(location.size, size ?? location.size))
      }
      var location = try scene.locate(place)
      location.size = min(location.size, size ?? location.size)
      return try list.read(location)
    case .offerDigest:
      guard let offer = materials.offer else {
        throw MigrationError(
          .attackNeeds, "another destination's offer is needed", expected: "--offer OFFER")
      }
      return try offer.digest()
    case .sharedRecord(let place): return try sharedRecord(place)
    case .hostKey: return try HostKey(seed: scene.seed).point
    case .secretsAddress: return try secretsAddress()
    case .sharedAddress: return try sharedAddress()
    }
  }

  /// The first record of shared memory names its block.
  private func sharedAddress() throws(MigrationError) -> [UInt8] {
    let input = scene.inputs[0]
    let missing = MigrationError(.recipePlace, "there is no shared memory at an address")
    guard let run = input.anatomy.ramRuns.first, run.nameSize > 1 else { throw missing }
    let word = try input.store.read(run.start..<run.start + 8)
    let name = try input.store.read(run.start + 9..<run.start + 8 + run.nameSize)
    let offset = word.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } & ~0xFFF
    guard let block = input.anatomy.blocks.firstIndex(where: { Array($0.name.utf8) == name }),
      let gpa = input.anatomy.map.gpa(block: block, offset: offset)
    else { throw missing }
    return Self.encode(gpa, in: 8)
  }

  private func secretsAddress() throws(MigrationError) -> [UInt8] {
    guard let part = scene.inputs[0].anatomy.part(.secrets) else {
      throw MigrationError(.recipePlace, "there is no secrets page")
    }
    let plaintext = try makeRogue(true).openFinal(part, of: scene.inputs[0], input: 0)
    return Array(plaintext.prefix(8))
  }

  private func random(_ count: Int) throws(MigrationError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      bytes += try RandomSource.seeded(scene.seed).bytes(
        min(4096, count - bytes.count), for: "bytes from \(bytes.count)")
    }
    return bytes
  }

  /// A record of shared memory that puts bytes of the attacker's at a private page's address.
  private func sharedRecord(_ place: PlaceSyntax) throws(MigrationError) -> [UInt8] {
    let named = try scene.part(place)
    guard named.part.kind == .page else { throw scene.missing(place) }
    let input = scene.inputs[scene.spaces[named.space]]
    let gpa = try input.store.read(named.part.body + 8..<named.part.body + 16).reduce(UInt64(0)) {
      $0 << 8 | UInt64($1)
    }
    guard let found = input.anatomy.map.locate(gpa) else { throw scene.missing(place) }
    let name = Array(input.anatomy.blocks[found.block].name.utf8)
    var bytes: [UInt8] = []
    bytes.append(bigEndian: found.offset | 0x008)
    return try bytes + [UInt8(name.count)] + name + random(4096)
  }

  // MARK: Offers and instances

  private mutating func signReport(_ chip: Int) throws(MigrationError) {
    guard let whole = PlaceSyntax("offer.report") else { return }
    let location = try scene.locate(whole)
    let report = try list.read(location)
    try list.set(location, to: RogueSource.sign(report, by: .model(chip: chip)))
  }

  private mutating func bindReport() throws(MigrationError) {
    guard let place = PlaceSyntax("offer.report.REPORT_DATA") else { return }
    let location = try scene.locate(place)
    let bound = try list.read(
      Location(space: 0, offset: 0, size: UInt64(MigrationData.boundSize)))
    try list.set(location, to: SHA512.hash(Label.destinationReport + bound))
  }

  private mutating func computeChecksum() throws(MigrationError) {
    guard let place = PlaceSyntax("instance.checksum") else { return }
    let location = try scene.locate(place)
    let size = location.offset
    let body = try list.read(Location(space: 0, offset: 0, size: size))
    try list.set(location, to: SHA256.hash(body))
  }

  // MARK: The end

  func write(to output: any ByteOutput) throws(MigrationError) {
    guard isMended else { return try list.write(to: output) }
    guard scene.inputs[0].anatomy.part(.session) != nil else {
      throw MigrationError(.attackNeeds, "only a stream is repaired or forged")
    }
    var rogue: RogueSource?
    if case .rogue(let isMutual) = repair { rogue = try makeRogue(isMutual) }
    var rewriter = try Rewriter(
      list, scene, repair: repair, rogue: rogue, edits: edits, to: output)
    try rewriter.run()
  }

  private func makeRogue(_ isMutual: Bool) throws(MigrationError) -> RogueSource {
    guard let instance = materials.instance else {
      throw MigrationError(
        .attackNeeds, "the destination's instance is needed", expected: "--instance INSTANCE")
    }
    var sessions: [TransferData] = []
    var reportEdits: [LateEdit] = []
    for input in scene.inputs {
      guard let part = input.anatomy.part(.session) else {
        throw MigrationError(.attackNeeds, "only a stream is forged")
      }
      let bytes = try input.store.read(part.body..<part.body + part.bodySize)
      sessions.append(try TransferData(bytes, at: part.body))
      if sessions.count == 1 { reportEdits = edits[PartKey(space: 0, part: part)] ?? [] }
    }
    return try RogueSource(
      for: instance, sessions: sessions, isMutual: isMutual, seed: scene.seed
    ) { (report) throws(MigrationError) in
      var report = report
      for edit in reportEdits {
        if case .report(let range) = edit.area { try edit.apply(to: &report, range) }
      }
      return report
    }
  }
}
