import Attacks
import Errors
import FileIO
import TestSupport
import Testing
import Wire

/// Takes what is written, and keeps nothing.
final class Discarded: ByteOutput {
  func write(_ bytes: Span<UInt8>) {}
}

@Suite struct CatalogueTests {
  @Test("There are attacks enough, each with a name of its own and a recipe that is read")
  func theCatalogueIsSound() throws {
    #expect(Attack.all.count >= 60)
    #expect(Set(Attack.all.map(\.name)).count == Attack.all.count)
    for attack in Attack.all {
      #expect(throws: Never.self, "\(attack.name)") { _ = try attack.recipe(mended: true) }
      #expect(!attack.threats.isEmpty && attack.threats.allSatisfy { 1...42 ~= $0 })
      #expect(!attack.summary.isEmpty)
    }
  }

  @Test("No attack is expected to be accepted")
  func nothingMayBeAccepted() {
    for attack in Attack.all {
      for expected in [attack.plain, attack.mended].compactMap({ $0 }) {
        #expect(!expected.loaded.isEmpty && !expected.loaded.contains(nil), "\(attack.name)")
      }
    }
    #expect(Attack.all.filter(\.passesOneWay).map(\.name) == ["fake-source"])
  }

  @Test("An attack that the stream has nothing for says so")
  func whatIsMissingIsSaid() throws {
    let materials = Materials(try Materials.Input(Laboratory.stream("tiny")))
    for name in ["drop-secrets", "omit-cancel", "host-reorders-devices", "rogue-vmsa-vmpl0"] {
      let attack = try #require(Attack.named(name))
      #expect(refusalCode { try attack.make(from: materials, to: Discarded()) } == .attackNeeds)
    }
  }
}
