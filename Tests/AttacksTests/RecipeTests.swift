import Attacks
import Errors
import TestSupport
import Testing
import Wire

@Suite struct RecipeTests {
  private let offer: [UInt8]

  init() throws { offer = try Fixture.read("golden/destination.offer") }

  @Test(
    "A line that is no operation is refused, and named",
    arguments: [
      "explode page[0]", "set page[0]", "set page[0] hex:0", "set page[0] =x", "set page[0 00",
      "flip page[0] mask=00", "flip page[0] mask=0", "add page[0] x", "add page[0] 0",
      "cut page[0] count=0", "insert beside page[0] 00", "copy page[0] page[1]",
      "splice page[0] from page[0]", "truncate page[0]", "repair all", "rogue two-way",
      "forge page[0]", "attack", "set page[0] 00 00", "sign offer", "set . 00", "set page[-1] 00",
      "set page[99999999999999999999] 00", "cut page[0]+x", "attack nothing", "append zero",
      "add page[0] +5", "set page[0].gpa =0x+5", "set page[0] text:", "flip page[0]\u{1}",
      "sign report chip=2", "sign report chip=+1", "copy page[0] after page[0] as page",
      "copy page[0] after page[0] as a.b", "copy page[0] after page[0] as ram",
    ])
  func aWrongLineIsNamed(line: String) throws {
    do {
      _ = try Laboratory.make("# first\n\(line)", of: Laboratory.stream("tiny"))
      Issue.record("taken")
    } catch let error as MigrationError {
      #expect(error.code == .recipeSyntax)
      #expect(error.place?.name == "line 2")
    }
  }

  @Test(
    "A place that is not there is refused",
    arguments: [
      "cut page[1000]", "cut device", "set page[0].nothing 00", "set commit.vcpus 0000000001",
      "cut 0xffffffff", "set header(seal) 00", "set vcpu.vmsa 00", "cut page[0]\ncut page[0]",
      "cut page[0]+10 count=10\nswap page[0] page[1]", "swap page[0] page[0]+9",
      "forge page[0].tag+16 00", "forge map.count 00", "forge vcpu.vmsa.NOTHING 00",
      "add commit.transcript 1", "set page[0].operation =256", "add page[0].operation 256",
      "add page[0].operation -256", "set end =1", "set page[0].gpa+9 zero",
      "forge vcpu.vmpl =256", "forge page[0].tag zero", "forge vcpu.tag zero",
      "set page[0].gpa.epoch zero", "set page[0].gpa[0] zero", "set header(page[0]).id[0] zero",
      "set ram[1].page[0] zero", "forge vcpu.vmsa.EFER.x zero", "forge page[0].gpa[0] zero",
      "cut vcpu[0]\nforge vcpu[0].vmpl 00", "insert after vcpu.tag 00\nforge vcpu.vmpl 00",
      "cut page[0]\nrepair\nset page[0].gpa zero",
      "rogue one-way\nforge session.report.VMPL 01",
    ])
  func aMissingPlaceIsRefused(recipe: String) throws {
    let code = refusalCode { _ = try Laboratory.make(recipe, of: try Laboratory.stream("tiny")) }
    #expect(code == .recipePlace)
  }

  @Test("A recipe has so many operations, and no more")
  func operationsAreCounted() throws {
    let lines = Array(repeating: "append 00", count: 4097)
    _ = try Recipe(parsing: lines.dropLast().joined(separator: "\n"))
    do throws(MigrationError) {
      _ = try Recipe(parsing: lines.joined(separator: "\n"))
      Issue.record("taken")
    } catch {
      #expect(error.code == .recipeSyntax && error.place?.name == "line 4097")
    }
  }

  @Test("A vector that makes too long a file is refused before it is made whole")
  func aVectorsFileHasALimit() throws {
    let text = """
      svsm-migration vector 1
      name: long
      what: a file of some gigabytes
      subject: recipe
      input: golden/mixed/stream.mig
      verdict: refused
      code: RECIPE-SYNTAX
      recipe:
      """
    let recipe = String(repeating: "\n  copy 0 after end", count: 4000)
    let vector = try Vector(parsing: text + recipe + "\n", fileName: "long")
    let code = refusalCode {
      try vector.make(
        from: { (path) throws(MigrationError) in
          try Vector.fixture(Repository.path("Fixtures/\(path)"))
        }, to: Discarded())
    }
    #expect(code == .recipeSyntax)
  }

  @Test("The values of all lines together have a limit, and the line that passes it is named")
  func valuesAreLimited() throws {
    let stream = try Laboratory.stream("mixed")
    let lines = (24 << 20) / stream.count
    let good = String(repeating: "set 0 zero\n", count: lines)
    #expect(try Laboratory.make(good, of: stream) == [UInt8](repeating: 0, count: stream.count))
    for line in ["set 0 zero", "append from 0", "insert before end from 0", "set 0 random"] {
      let error = #expect(throws: MigrationError.self) {
        _ = try Laboratory.make(good + line, of: stream)
      }
      #expect(error?.code == .recipeSyntax && error?.place == .line(lines + 1))
    }
  }

  @Test("Bytes move before a repair, not behind it")
  func nothingMovesBehindARepair() throws {
    let code = refusalCode {
      _ = try Laboratory.make("repair\ncut page[0]", of: try Laboratory.stream("tiny"))
    }
    #expect(code == .recipeSyntax)
  }

  @Test(
    "A recipe is mended once: by a host, or by a source that lies",
    arguments: [
      "rogue\nrepair", "repair\nrepair resign", "repair\nrogue", "forge page[0].gpa ones\nrepair",
      "forge page[0].gpa ones\nrogue one-way", "repair\nforge page[0].gpa ones",
      "attack rogue-efer\nrepair resign", "repair\nattack rogue-efer",
    ])
  func aRecipeIsMendedOnce(recipe: String) throws {
    do {
      _ = try Laboratory.make(recipe, of: Laboratory.stream("tiny"))
      Issue.record("taken")
    } catch let error as MigrationError {
      #expect(error.code == .recipeSyntax)
      #expect(error.place?.name == "line 2")
    }
  }

  @Test("Lines may end with carriage return and line feed")
  func carriageReturnsEndLines() throws {
    let made = try Laboratory.make("flip 9\r\n\r\n# a comment\r\nflip 11 mask=02\r\n", of: offer)
    #expect(try made == Laboratory.make("flip 9\nflip 11 mask=02", of: offer))
    #expect(refusalCode { _ = try Recipe(Array("flip 9 \r flip".utf8)) } == .recipeSyntax)
    #expect(refusalCode { _ = try Recipe([0x23, 0xff]) } == .recipeSyntax)
  }

  @Test("What is missing beside the stream is named")
  func needsAreNamed() throws {
    let stream = try Laboratory.stream("tiny")
    for recipe in ["splice page[0] from second page[0]", "set session.offer_digest offer-digest"] {
      #expect(refusalCode { _ = try Laboratory.make(recipe, of: stream) } == .attackNeeds)
    }
    #expect(refusalCode { _ = try Laboratory.make("repair", of: offer) } == .attackNeeds)
  }

  /// Rows: a recipe, and the same done by hand.
  private static let edits: [(recipe: String, edit: @Sendable (inout [UInt8]) -> Void)] = [
    ("set 4 aabb", { $0.replaceSubrange(4..<6, with: [0xaa, 0xbb]) }),
    ("set offer.version =258", { $0.replaceSubrange(8..<10, with: [1, 2]) }),
    (
      "set offer.public_key+1 zero",
      { $0.replaceSubrange(21..<117, with: repeatElement(0, count: 96)) }
    ),
    ("set offer.magic text:AB", { $0.replaceSubrange(0..<2, with: Array("AB".utf8)) }),
    ("set offer.kem from offer.kdf", { $0.replaceSubrange(10..<12, with: Array($0[12..<14])) }),
    ("flip offer.flags", { $0[16] ^= 1 }),
    ("flip offer.flags+3 mask=f0", { $0[19] ^= 0xf0 }),
    ("flip 9\nflip 9", { _ in }),
    ("add offer.version -2", { $0.replaceSubrange(8..<10, with: [0xff, 0xff]) }),
    ("add offer.version 0xffff", { $0.replaceSubrange(8..<10, with: [0, 0]) }),
    ("set offer.version =0xffff", { $0.replaceSubrange(8..<10, with: [0xff, 0xff]) }),
    ("cut 3 count=2", { $0.removeSubrange(3..<5) }),
    (
      "cut 3 count=2\nset 8 77",
      {
        $0[8] = 0x77
        $0.removeSubrange(3..<5)
      }
    ),
    ("insert before 3 0102", { $0.insert(contentsOf: [1, 2], at: 3) }),
    (
      "insert after offer.magic 0102\nset 8 77",
      {
        $0[8] = 0x77
        $0.insert(contentsOf: [1, 2], at: 8)
      }
    ),
    ("copy offer.kem before offer.magic", { $0.insert(contentsOf: [0, 0x11], at: 0) }),
    (
      "move offer.kem before offer.magic",
      {
        $0.removeSubrange(10..<12)
        $0.insert(contentsOf: [0, 0x11], at: 0)
      }
    ),
    ("move offer.magic after offer.kem", { $0 = Array($0[8..<12]) + $0[0..<8] + $0[12...] }),
    (
      "move offer.magic after offer.kem\nset 1 77",
      {
        $0[1] = 0x77
        $0 = Array($0[8..<12]) + $0[0..<8] + $0[12...]
      }
    ),
    (
      "swap offer.magic offer.kem", { $0 = Array($0[10..<12]) + $0[8..<10] + $0[0..<8] + $0[12...] }
    ),
    ("truncate at offer.report", { $0.removeSubrange(128...) }),
    ("append 0102", { $0 += [1, 2] }),
    ("truncate at 0\nappend 05", { $0 = [5] }),
  ]

  @Test("An operation does what is written of it", arguments: 0..<edits.count)
  func anOperationDoesWhatIsWritten(row: Int) throws {
    let (recipe, edit) = Self.edits[row]
    var expected = offer
    edit(&expected)
    #expect(try Laboratory.make(recipe, of: offer) == expected, "\(recipe)")
  }

  @Test("One seed makes one stream, another makes another")
  func theSeedDecides() throws {
    let stream = try Laboratory.stream("mixed")
    let recipe = "flip page[?].content+? mask=?"
    let first = try Laboratory.make(recipe, of: stream, seed: 1)
    #expect(try Laboratory.make(recipe, of: stream, seed: 1) == first)
    #expect(try Laboratory.make(recipe, of: stream, seed: 2) != first)
  }
}
