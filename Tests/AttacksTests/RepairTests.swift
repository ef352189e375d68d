import Attacks
import Errors
import Migration
import MigrationSupport
import QEMUStream
import TestSupport
import Testing
import Wire

@Suite struct RepairTests {
  @Test("A host that mends a stream that is whole changes no byte", arguments: Laboratory.goldens)
  func thereIsNothingToMendInAWholeStream(name: String) throws {
    let stream = try Laboratory.stream(name)
    #expect(try Laboratory.make("repair", of: stream) == stream)
  }

  @Test(
    "A source that lies about nothing is believed: its attacks fail for what they say alone",
    arguments: Laboratory.goldens)
  func aRogueSourceIsBelieved(name: String) throws {
    let made = try Laboratory.make("rogue", of: try Laboratory.stream(name))
    #expect(try Laboratory.refusal(of: made) == nil)
    #expect(try Lab.verifier().verify(StreamInput(ArraySource(made))).refusal == nil)
  }

  @Test("A rogue source makes streams of several epochs that are believed")
  func severalEpochsAreBelieved() throws {
    let rounds = try Laboratory.rounds()
    #expect(try Laboratory.refusal(of: rounds) == nil)
    #expect(try Laboratory.refusal(of: Laboratory.make("rogue", of: rounds)) == nil)
    #expect(try Laboratory.make("repair", of: rounds) == rounds)
    let anatomy = try Anatomy(of: rounds)
    #expect(anatomy.count(.token) == 2)
  }

  @Test(
    "What a host mends is right by all checks that need no key, but for whose seal it is",
    arguments: [
      "flip page[1].tag", "splice page[1] from second page[1]", "set states[last].ciphertext zero",
      "splice vcpu from second vcpu", "flip ram.content[0].content",
      "set vcpu.ciphertext zero",
    ])
  func aMendedStreamIsRightWithoutKeys(edit: String) throws {
    let stream = try Laboratory.stream("mixed")
    let second = try Laboratory.make("rogue", of: stream, seed: 9)
    let mended = try Laboratory.make("\(edit)\nrepair resign", of: stream, second: second)
    let input = StreamInput(ArraySource(mended))
    #expect(try Lab.verifier().verify(input).refusal?.code == .sealSigner)
    #expect(try Laboratory.refusal(of: mended) != nil)
  }

  @Test("Edits behind a repair come after what it computes")
  func lateEditsStand() throws {
    let stream = try Laboratory.stream("mixed")
    let made = try Laboratory.make("repair\nflip seal.leaf[1] mask=80", of: stream)
    #expect(zip(made, stream).filter { $0 != $1 }.count == 1)
    #expect(try Laboratory.refusal(of: made) == .sealRoot)
  }

  @Test("An edit behind a repair reaches every byte of a part that is written in pieces")
  func lateEditsReachAllOfALargePart() throws {
    let stream = try Laboratory.stream("mixed")
    let part = try #require(try Anatomy(of: stream).part(.ramPart))
    let mended = try Laboratory.make("repair resign", of: stream)
    let border = UInt64(5 + (256 << 10))
    for place in [0, 5, border - 1, border, part.size - 5, part.size - 1] {
      let made = try Laboratory.make("repair resign\nflip ram.part+\(place) mask=81", of: stream)
      let changed = made.indices.filter { made[$0] != mended[$0] }
      #expect(changed.first == Int(part.start + place))
      #expect(made[Int(part.start + place)] == mended[Int(part.start + place)] ^ 0x81)
    }
  }

  @Test("The VM description follows the sections that are there")
  func theDescriptionIsKept() throws {
    let made = try Laboratory.make(
      "cut states[last]\nrepair resign", of: try Laboratory.stream("tiny"))
    let text = String(decoding: made.suffix(4096), as: UTF8.self)
    #expect(!text.contains("snp-page-states") && text.contains("snp-commit"))
  }

  @Test("A description that gives a field any size whatever is mended without a crash")
  func sizesOfADescriptionAreAnyNumber() throws {
    let stream = try Laboratory.stream("tiny")
    let start = try #require(try Anatomy(of: stream).part(.description)).start
    let whole = String(decoding: stream[Int(start) + 5..<stream.count], as: UTF8.self)
    // The last field of the service, whose sealed blob gets another length below.
    var size = whole.startIndex
    for word in ["\"snp-service\"", "\"ciphertext\"", "\"size\": "] {
      size = try #require(whole[size...].firstRange(of: word)).upperBound
    }
    let text = whole[..<size] + String(UInt64.max) + whole[size...].drop { $0.isNumber }
    var record: [UInt8] = [6]
    record.append(bigEndian: UInt32(text.utf8.count))
    let lies = [
      ("text:short", ErrorCode.streamTruncated),
      ("hex:" + String(repeating: "00", count: 1 << 17), .serviceSyntax),
    ]
    for (plaintext, refusal) in lies {
      let made = try Laboratory.make(
        "forge service[0].plaintext \(plaintext)", of: stream[..<Int(start)] + record + text.utf8)
      #expect(try Laboratory.refusal(of: made) == refusal)
    }
  }

  @Test(
    "A lie about a part of what is encrypted leaves the rest as it is",
    arguments: ["forge vcpu.plaintext+4 00", "forge vcpu.plaintext mask=0000000001"])
  func aLieAboutAPartLeavesTheRest(recipe: String) throws {
    // The level is another, and nothing else: the record is well formed.
    let made = try Laboratory.make(recipe, of: try Laboratory.stream("tiny"))
    #expect(try Laboratory.refusal(of: made) == .vcpuVMPL)
  }

  @Test("A source that lies has mended all: a host has nothing to add")
  func aSourceThatLiesHasMendedAll() throws {
    let attack = try #require(Attack.named("rogue-efer"))
    var materials = Materials(try Materials.Input(Laboratory.stream("tiny")))
    materials.instance = try Laboratory.destination()
    let (plain, mended) = (CollectedOutput(), CollectedOutput())
    try attack.make(from: materials, to: plain)
    try attack.make(from: materials, mended: true, to: mended)
    #expect(plain.bytes == mended.bytes)
  }

  @Test("Without keys to the stream nothing is forged")
  func onlyTheDestinationsInstanceServes() throws {
    var materials = Materials(try Materials.Input(Laboratory.stream("tiny")))
    materials.instance = try Lab.instance(77)
    let code = refusalCode {
      try Recipe(parsing: "rogue").make(from: materials, to: Discarded())
    }
    #expect(code == .attackNeeds)
  }
}
