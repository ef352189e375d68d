internal import Cryptography
package import Errors
internal import FileIO
internal import Guest
internal import SEVSNP
internal import SVSM
package import Wire

extension Recipe {
  /// Makes the output that the recipe describes.
  /// - Returns: whether it changed anything other than by repairing. It did not when what it writes
  ///   is what was already there.
  /// - Throws: `RECIPE-SYNTAX`, `RECIPE-PLACE`, `ATTACK-NEEDS`, `IO-READ`, `IO-WRITE`.
  @discardableResult
  package func make(
    from materials: Materials, to output: any ByteOutput
  ) throws(MigrationError) -> Bool {
    var run = RecipeRun(materials)
    try run.perform(lines)
    try run.write(to: output)
    return run.isChange
  }
}

/// The execution of a recipe.
struct RecipeRun {
  let materials: Materials
  var scene: Scene
  var list: PieceList
  private var repair = Repair.none
  private var isMended = false
  private var edits: [PartKey: [LateEdit]] = [:]
  /// Whether anything was changed other than by repairing.
  private(set) var isChange = false
  /// Bytes of the values of all lines, which stay in memory until the output is written.
  private var valueBytes: UInt64 = 0

  /// Largest number of bytes of all values of a recipe: a service of the largest size, and half of that.
  static let valueLimit: UInt64 = 24 << 20

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
        throw error.within(.line(line.number))
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
    case .add(let place, let number, let isNegative): try add(number, isNegative, to: place)
    case .forge(let place, let value):
      try forge(place, mask: false) { (run, size) throws(MigrationError) in
        try run.bytes(value, size: size)
      }
    case .forgeMask(let place, let mask): try forge(place, mask: true) { (_, _) in mask }
    case .repair(let repair): try mend(repair)
    case .attack(let name):
      guard let attack = Attack.named(name) else {
        throw MigrationError(.recipeSyntax, "no such attack", got: name)
      }
      for line in try attack.recipe().lines { try perform(line.operation) }
    default:
      guard !isMended else {
        throw MigrationError(
          .recipeSyntax, "bytes are put in or cut out after a repair",
          expected: "set, flip or forge after it")
      }
      try rearrange(operation)
      isChange = true
    }
  }

  /// A recipe states once what is repaired: a second line would undo what the first one means.
  private mutating func mend(_ repair: Repair) throws(MigrationError) {
    guard !isMended else {
      throw MigrationError(
        .recipeSyntax, "a recipe has more than one repair",
        expected: "one line of repair or rogue, before any forge")
    }
    (self.repair, isMended) = (repair, true)
    switch repair {
    case .none, .consistent(.kept), .consistent(.own), .rogue(isMutual: true): break
    case .consistent(.session), .consistent(.none), .rogue(isMutual: false): isChange = true
    }
  }

  /// Performs an operation that moves bytes.
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

  /// Counts the bytes of a value before memory is taken for them.
  mutating func hold(_ count: UInt64) throws(MigrationError) {
    guard count <= Self.valueLimit - valueBytes else {
      throw MigrationError(
        .recipeSyntax, "values of the recipe are too long",
        expected: "at most \(Self.valueLimit) bytes in all",
        got: "\(valueBytes) and \(count)")
    }
    valueBytes += count
  }

  func second() throws(MigrationError) -> Int {
    guard scene.inputs.count > 1 else {
      throw MigrationError(.attackNeeds, "a second stream is needed", expected: "\(.second) STREAM")
    }
    return 1
  }

  /// The border of a place on one side, as an empty location.
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
      var (bytes, place, isNew) = (bytes, 0, false)
      try list.read(part) { old in
        if isMask { for index in old.indices { bytes[place + index] ^= old[index] } }
        isNew = isNew || !bytes[place..<place + old.count].elementsEqual(old)
        place += old.count
      }
      isChange = isChange || isNew
      return try list.set(part, to: bytes)
    }
    let anatomy = scene.inputs[scene.spaces[location.space]].anatomy
    guard let part = try anatomy.part(at: location.offset),
      location.offset + UInt64(bytes.count) <= part.end
    else { throw MigrationError(.recipePlace, "no part lies here", at: location.offset) }
    try requireWhole(NamedPart(space: location.space, part: part))
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

  /// Only a record that is whole can be repaired, and edited while it is repaired.
  private mutating func requireWhole(_ named: NamedPart) throws(MigrationError) {
    let part = named.part
    guard list.holds(Location(space: named.space, offset: part.start, size: part.size)) else {
      throw MigrationError(
        .recipePlace, "a line before has taken this record apart", at: part.start)
    }
  }

  private mutating func add(
    _ number: UInt64, _ isNegative: Bool, to place: PlaceSyntax
  ) throws(MigrationError) {
    let location = try scene.locate(place)
    guard 1...8 ~= location.size, !isMended else {
      throw MigrationError(
        .recipePlace, "not a number that can be added to",
        expected: "1 to 8 bytes, before a repair",
        got: "\(location.size)")
    }
    let size = Int(location.size)
    let step = UInt64(bigEndianBytes: try Self.encode(number, in: size))
    let old = UInt64(bigEndianBytes: try list.read(location))
    // The sum wraps at the size of the place.
    let sum = (isNegative ? old &- step : old &+ step) << UInt64(64 - 8 * size)
    try list.set(location, to: Self.encode(sum >> UInt64(64 - 8 * size), in: size))
    isChange = true
  }

  private mutating func forge(
    _ place: PlaceSyntax, mask isMask: Bool,
    _ value: (inout RecipeRun, UInt64) throws(MigrationError) -> [UInt8]
  ) throws(MigrationError) {
    if !isMended { try mend(.rogue(isMutual: true)) }
    guard case .rogue(let isMutual) = repair else {
      throw MigrationError(
        .recipeSyntax, "a recipe that repairs also forges", expected: "forge without repair")
    }
    var target = try scene.forgeTarget(place)
    if case .report = target.area, !isMutual { throw scene.missing(place) }
    try requireWhole(target.part)
    // A mask changes the existing plaintext and does not replace it.
    if isMask, target.area == .wholePlaintext { target.area = .plaintext(0..<target.size) }
    let bytes = try value(&self, UInt64(target.size))
    guard target.area == .wholePlaintext || bytes.count <= target.size else {
      throw MigrationError(
        .recipePlace, "more bytes than the place has", expected: "at most \(target.size)",
        got: "\(bytes.count)")
    }
    if case .report = target.area { isChange = true }
    edits[PartKey(target.part), default: []].append(
      LateEdit(area: target.area, bytes: bytes, isMask: isMask))
  }

  // MARK: Offers and instances

  private mutating func signReport(_ chip: Int) throws(MigrationError) {
    guard let whole = PlaceSyntax("offer.report") else { return }
    let location = try scene.locate(whole)
    let report = try list.read(location)
    // The offer may state another length.
    guard report.count == AttestationReport.Layout.size else { throw scene.missing(whole) }
    try list.set(location, to: RogueSource.sign(report, by: .model(chip: chip)))
  }

  private mutating func bindReport() throws(MigrationError) {
    guard let place = PlaceSyntax("offer.report.REPORT_DATA") else { return }
    let location = try scene.locate(place)
    let bound = try list.read(
      Location(space: 0, offset: 0, size: MigrationData.Layout.offset(of: \.reserved, from: 0)))
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

  mutating func write(to output: any ByteOutput) throws(MigrationError) {
    guard isMended else { return try list.write(to: output) }
    guard try scene.inputs[0].anatomy.part(.session) != nil else {
      throw MigrationError(.attackNeeds, "only a stream is repaired or forged")
    }
    var rogue: RogueSource?
    if case .rogue(let isMutual) = repair { rogue = try makeRogue(isMutual) }
    var rewriter = try Rewriter(
      list, scene, repair: repair, rogue: rogue, edits: edits, to: output)
    try rewriter.run()
    isChange = isChange || rewriter.isEdited
  }

  func makeRogue(_ isMutual: Bool) throws(MigrationError) -> RogueSource {
    guard let instance = materials.instance else {
      throw MigrationError(
        .attackNeeds, "the destination's instance is needed", expected: "\(.instance) INSTANCE")
    }
    var sessions: [TransferData] = []
    var reportEdits: [LateEdit] = []
    for input in scene.inputs {
      sessions.append(try input.session())
    }
    if let part = try scene.inputs[0].anatomy.part(.session) {
      reportEdits = edits[PartKey(space: 0, part: part)] ?? []
    }
    return try RogueSource(
      for: instance, sessions: sessions, isMutual: isMutual, seed: scene.seed
    ) { (report) throws(MigrationError) in
      var report = report
      for edit in reportEdits {
        if case .report(let range) = edit.area { _ = try edit.apply(to: &report, range) }
      }
      return report
    }
  }
}
