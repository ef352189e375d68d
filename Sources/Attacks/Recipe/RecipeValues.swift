internal import Cryptography
internal import Errors
internal import Guest
internal import QEMUStream
internal import SVSM
internal import Wire

// The conversion of a recipe's values to bytes.
extension RecipeRun {
  /// A number in `size` bytes, big-endian.
  /// - Throws: `RECIPE-PLACE` when it does not fit.
  static func encode(_ number: UInt64, in size: Int) throws(MigrationError) -> [UInt8] {
    guard size >= 8 || number >> UInt64(8 * size) == 0 else {
      throw MigrationError(
        .recipePlace, "a number that does not fit its place", expected: "\(size) bytes",
        got: "\(number)")
    }
    return (0..<size).reversed().map {
      $0 < 8 ? UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) : 0
    }
  }

  /// - Parameter size: size of the place in bytes; nil where the value alone determines the number
  ///   of bytes.
  mutating func bytes(
    _ value: Recipe.Value, size: UInt64?
  ) throws(MigrationError) -> [UInt8] {
    func sized() throws(MigrationError) -> Int {
      guard let size else {
        throw MigrationError(.recipeSyntax, "a value of no length", expected: "bytes in hex")
      }
      try hold(size)
      return Int(size)
    }
    switch value {
    case .bytes(let bytes):
      try hold(UInt64(bytes.count))
      return bytes
    case .number(let number): return try Self.encode(number, in: sized())
    case .zero: return [UInt8](repeating: 0, count: try sized())
    case .ones: return [UInt8](repeating: 0xFF, count: try sized())
    case .random: return try random(sized())
    case .place(let place, let isSecond):
      var location = try scene.locate(place, input: isSecond ? second() : 0)
      location.size = min(location.size, size ?? location.size)
      try hold(location.size)
      if isSecond {
        return try scene.inputs[1].store.read(
          location.offset..<location.offset + location.size)
      }
      return try list.read(location)
    case .offerDigest:
      guard let offer = materials.offer else {
        throw MigrationError(
          .attackNeeds, "another destination's offer is needed", expected: "\(.offer) OFFER")
      }
      return try offer.digest()
    case .sharedRecord(let place): return try sharedRecord(place)
    case .hostKey: return try HostKey(seed: scene.seed).point
    case .secretsAddress: return try secretsAddress()
    case .sharedAddress: return try sharedAddress()
    }
  }

  /// The address of the first record of shared memory, which is certain to contain the name of its
  /// block.
  private func sharedAddress() throws(MigrationError) -> [UInt8] {
    let input = scene.inputs[0]
    let missing = MigrationError(.recipePlace, "there is no shared memory at an address")
    let all = 0..<Anatomy.SharedRecord.kinds
    guard let record = try input.anatomy.record(0, of: all), record.nameSize > 1 else {
      throw missing
    }
    let nameStart = record.start + Anatomy.SharedRecord.wordSize
    let word = UInt64(bigEndianBytes: try input.store.read(record.start..<nameStart))
    // The first byte is the length of the name.
    let name = try input.store.read(nameStart + 1..<nameStart + record.nameSize)
    let offset = word & ~TargetPage.x86.mask
    guard let block = input.anatomy.blocks.firstIndex(where: { Array($0.name.utf8) == name }),
      let gpa = input.anatomy.map.gpa(block: block, offset: offset)
    else { throw missing }
    return try Self.encode(gpa, in: 8)
  }

  private func secretsAddress() throws(MigrationError) -> [UInt8] {
    guard let part = try scene.inputs[0].anatomy.part(.final(.secrets)) else {
      throw MigrationError(.recipePlace, "there is no secrets page")
    }
    let plaintext = try makeRogue(true).openFinal(part, of: scene.inputs[0], input: 0)
    return Array(plaintext[SecretsPlaintext.Layout.range(of: \.gpa)])
  }

  private func random(_ count: Int) throws(MigrationError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      bytes += try RandomSource.seeded(scene.seed).bytes(
        min(4096, count - bytes.count), for: "bytes from \(bytes.count)")
    }
    return bytes
  }

  /// A record of shared memory that writes the attacker's bytes to the address of a private page.
  private mutating func sharedRecord(
    _ place: PlaceSyntax
  ) throws(MigrationError) -> [UInt8] {
    let named = try scene.part(place)
    guard named.part.kind == .page else { throw scene.missing(place) }
    let input = scene.inputs[scene.spaces[named.space]]
    let gpa = try input.store.number(
      in: PageMetadata.Layout.range(of: \.metadata.gpa), from: named.part.body)
    guard let found = input.anatomy.map.locate(gpa) else { throw scene.missing(place) }
    let name = Array(input.anatomy.blocks[found.block].name.utf8)
    try hold(UInt64(name.count + Page.size))
    var bytes: [UInt8] = []
    bytes.append(bigEndian: found.offset | RAMFlags.page)
    return try bytes + [UInt8(name.count)] + name + random(Page.size)
  }
}
