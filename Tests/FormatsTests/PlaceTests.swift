import Attacks
import Errors
import FileIO
import Foundation
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing
import Wire

/// A place of a recipe covers the bytes that `Formats/vectors.md` says it names.
@Suite struct PlaceTests {
  /// Files in which every place of the text is found, by what is in them.
  private static let files = [
    "tiny", "rounds", "secrets-page", "one-way", "machine", "offer", "instance",
  ]

  /// The file, and a reader written from the texts alone that has read it.
  private static func read(_ name: String) throws -> (bytes: [UInt8], reader: PlaceReader) {
    switch name {
    case "offer":
      let bytes = try Fixture.read("golden/destination.offer")
      return (bytes, try .offer(bytes))
    case "instance":
      let bytes = try waitingInstance()
      return (bytes, try .instance(bytes))
    case "machine":
      let bytes = try machine()
      return (bytes, try .stream(bytes))
    default:
      let bytes = try Fixture.read("golden/\(name)/stream.mig")
      return (bytes, try .stream(bytes))
    }
  }

  /// An instance with everything in it: a guest waits for its name.
  private static func waitingInstance() throws -> [UInt8] {
    let instance = try Lab.instance(1)
    let stream = try Lab.save(SmallGuest.make([(.validated, 1), (.shared, 2)]), to: instance)
    var reader = SNPStreamReader(StreamInput(ArraySource(stream)), checkingSealWith: nil)
    _ = try reader.next()
    guard case .session(let session) = try reader.next() else {
      throw PlainReader.Failure(what: "no session")
    }
    let guest = SVSMInstance.UnnamedGuest(
      identity: [UInt8](repeating: 1, count: 16), place: Array("/a/hidden/path".utf8))
    return try instance.restoring(by: session, unnamed: guest).encoded()
  }

  /// A stream with devices, one in the clear and one sealed, and with a section that is optional.
  private static func machine() throws -> [UInt8] {
    var state = MachineState(machine: "pc")
    state.entries.append(
      .section(SectionHeader(.full, id: 9, name: "tpm-tis", version: 0), body: [1, 2, 3, 4]))
    state.entries.append(
      .section(SectionHeader(.full, id: 10, name: "vga", version: 2), body: [5, 6, 7]))
    let small = try SmallGuest.make([(.validated, 1), (.shared, 2), (.validated, 3), (.shared, 0)])
    var description = small.description
    description.machineState = state.encoded
    let memory = try TemporaryMemory(blockSizes: description.ramBlocks.map(\.size))
    let bytes = try SmallGuest.memory(of: small)
    try memory.write(block: 0, at: 0, bytes.span)
    let stream = try Lab.save(memory.guest(description), to: Lab.instance(1))
    return try make(
      "insert before vcpu hex:"
        + "040000038409782d756e6b6e6f776e0000000080000001000000030102037e00000384\nrepair resign session",
      of: Materials(Materials.Input(stream)))
  }

  private static func make(_ recipe: String, of materials: Materials) throws -> [UInt8] {
    let output = CollectedOutput()
    try Recipe(parsing: recipe).make(from: materials, to: output)
    return output.bytes
  }

  @Test("A place covers the bytes that the texts give it", arguments: files)
  func aPlaceCoversItsBytes(file: String) throws {
    let (bytes, reader) = try Self.read(file)
    let materials = Materials(try Materials.Input(bytes))
    #expect(reader.places.count > 20)
    for (name, range) in reader.places {
      // What is cut out, and what is read, are these bytes and no others.
      let made = try Self.make("append from \(name)\ncut \(name)", of: materials)
      let expected = bytes[..<range.lowerBound] + bytes[range.upperBound...] + bytes[range]
      #expect(made == Array(expected), "\(name)")
    }
  }

  @Test("Every place that the text names is looked at")
  func noPlaceIsForgotten() throws {
    var seen: Set<String> = []
    for file in Self.files {
      for (name, _) in try Self.read(file).reader.places {
        seen.insert(name.replacing(/\[[0-9a-z]+\]/, with: ""))
      }
    }
    let table = try #require(
      Table.all(in: Documents.lines(of: "vectors.md"), first: "path").first)
    let named = table.rows.flatMap { row in
      row[0].matches(of: /`([a-z.]+)(?:\[i\])?`/).map { String($0.1) }
    }
    #expect(named.count >= 30)
    for name in named { #expect(seen.contains(name), "\(name)") }
    let fields = [
      "session.report.MEASUREMENT", "session.certificates", "offer.report.CHIP_ID",
      "map.entry.gpa", "machine.entry.place", "machine.entry.name", "machine.entry.data",
      "machine.sealed", "machine.sealed.place", "machine.sealed.name", "machine.sealed.data",
      "vcpu.ciphertext", "seal.leaf", "seal.leaves", "seal.signature", "description.text",
      "optional.length", "instance.offer", "instance.checksum", "ram.content.word",
      "ram.content.name", "ram.content.content", "ram.zero.fill", "configuration.length",
    ]
    for name in fields { #expect(seen.contains(name), "\(name)") }
  }

  @Test(
    "A place that a file is too short for is refused",
    arguments: [
      "instance.checksum", "instance.offer", "instance.offer_length", "instance.magic+9",
    ])
  func aShortFileHasNoSuchPlace(place: String) throws {
    let materials = Materials(try Materials.Input(Array("SVSMINST".utf8)))
    let code = refusalCode { _ = try Self.make("cut \(place)", of: materials) }
    #expect(code == .recipePlace)
  }

  @Test(
    "A place that an offer is too short for is refused",
    arguments: ["offer.report", "offer.certificates", "offer.report.POLICY", "offer.public_key"])
  func aShortOfferHasNoSuchPlace(place: String) throws {
    let offer = try Fixture.read("golden/destination.offer")
    for length in [8, 124, 128, 200] where length < 200 || place != "offer.public_key" {
      let materials = Materials(try Materials.Input(Array(offer.prefix(length))))
      guard place != "offer.public_key" || length < 117 else { continue }
      let code = refusalCode { _ = try Self.make("cut \(place)", of: materials) }
      #expect(code == .recipePlace, "\(length)")
    }
  }

  @Test("An offer that says another length has no report to sign", arguments: [0, 100, 1183, 1185])
  func aReportThatIsNotWholeIsNotSigned(length: Int) throws {
    var offer = try Fixture.read("golden/destination.offer")
    let place = MigrationData.Layout.range(of: \.reportLength)
    offer.replaceSubrange(place, with: [0, 0, UInt8(length >> 8), UInt8(length & 0xFF)])
    let materials = Materials(try Materials.Input(offer))
    let code = refusalCode { _ = try Self.make("sign report", of: materials) }
    #expect(code == .recipePlace)
  }
}
