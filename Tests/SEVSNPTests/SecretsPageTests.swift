import Errors
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct SecretsPageTests {
  /// A page as firmware and a running guest leave it, every key byte telling whose it is.
  private func page(keys: UInt8, vmpl: UInt8 = 2, counter: UInt8 = 7) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: SecretsPage.Layout.size)
    bytes[0] = 3
    bytes.replaceSubrange(0x08..<0x0C, with: [0x11, 0x0F, 0xA0, keys])
    for index in 0x10..<0x20 { bytes[index] = keys &+ 0x20 }
    for key in 0..<4 {
      for index in 0..<32 { bytes[0x20 + 32 * key + index] = keys + UInt8(key) }
    }
    for index in 0..<4 { bytes[0xA0 + 4 * index] = counter }
    bytes[0xB0] = 0xB0
    bytes[0xB8] = counter
    for index in 0xE0..<0x100 { bytes[index] = 0x0E }
    for index in 0x100..<0x140 { bytes[index] = 0x0B }
    for (offset, value) in [(0x140, 1), (0x148, 2), (0x150, 3), (0x158, 4), (0x160, 5)] {
      bytes[offset] = UInt8(value)
    }
    bytes[0x15C] = vmpl
    return bytes
  }

  @Test func aPageIsReadAndWrittenAsItStands() throws {
    let bytes = try page(keys: 0xC0)
    let secrets = try SecretsPage(bytes)
    #expect(secrets.bytes == bytes)
    #expect(secrets.messageCounters == [7 | 7 << 32, 7, 7, 7])
    #expect(secrets.facts.apJumpTable == 0xB0)
    #expect(secrets.facts.svsmBase == 1)
    #expect(secrets.facts.svsmSize == 2)
    #expect(secrets.facts.svsmCallingArea == 3)
    #expect(secrets.facts.svsmMaxVersion == 4)
    #expect(secrets.facts.tscFactor == 5)
    #expect(secrets.facts.guestVMPL == 2)
  }

  @Test(arguments: 1...3 as ClosedRange<UInt8>)
  func aMigratedGuestGetsTheDestinationsKeysAndNothingOfTheSources(vmpl: UInt8) throws {
    let source = try SecretsPage(page(keys: 0xC0, vmpl: vmpl))
    let own = try SecretsPage(page(keys: 0xD0, vmpl: 1, counter: 0))
    let facts = source.facts.bytes
    let facts2 = try read(facts)
    #expect(facts2 == source.facts)
    let rebuilt = try SecretsPage(facts: facts2, on: own)
    #expect(rebuilt.bytes.allSatisfy { !(0xC0...0xC3).contains($0) })
    #expect(facts.allSatisfy { !(0xC0...0xC3).contains($0) })
    #expect(rebuilt.messageCounters == [0, 0, 0, 0])
    #expect(rebuilt.fms == own.fms)
    #expect(rebuilt.gosvw == own.gosvw)
    #expect(rebuilt.facts == source.facts)
    for key in 0..<4 {
      let expected = key < Int(vmpl) ? [UInt8](repeating: 0, count: 32) : own.vmpcks[key]
      #expect(rebuilt.vmpcks[key] == expected)
    }
    #expect(try SecretsPage(rebuilt.bytes) == rebuilt)
  }

  @Test(arguments: [0, 4, 255] as [UInt8])
  func aGuestAtNoGuestLevelIsRefused(vmpl: UInt8) throws {
    let source = try SecretsPage(page(keys: 0xC0, vmpl: vmpl))
    let own = try SecretsPage(page(keys: 0xD0))
    #expect(refusalCode { _ = try SecretsPage(facts: source.facts, on: own) } == .secretsPage)
    #expect(refusalCode { _ = try read(source.facts.bytes) } == .secretsPage)
  }

  @Test(arguments: [0, 1, 4, 5, 0x0C, 0x0F, 0xC8, 0xDF, 0x15D, 0x15F, 0x164, 0xFFF])
  func reservedBytesAndOtherVersionsAreRefused(offset: Int) throws {
    var bytes = try page(keys: 0xC0)
    bytes[offset] = 2
    #expect(refusalCode { _ = try SecretsPage(bytes) } == .secretsPage)
  }

  @Test(arguments: 41..<48)
  func reservedBytesOfTheFactsAreRefused(offset: Int) throws {
    var record = try SecretsPage(page(keys: 0xC0)).facts.bytes
    #expect(record.count == SecretsPageFacts.Layout.size)
    record[offset] = 1
    #expect(refusalCode { _ = try read(record) } == .secretsPage)
  }

  @Test func aShortPageIsRefused() {
    #expect(refusalCode { _ = try SecretsPage([3, 0, 0, 0]) } == .secretsPage)
  }

  private func read(_ record: [UInt8]) throws -> SecretsPageFacts {
    let span = record.span
    var cursor = ByteCursor(span)
    return try SecretsPageFacts(from: &cursor)
  }
}
