import Cryptography
import Errors
import FileIO
import Guest
import SEVSNP
import TestSupport
import Testing
import Wire

@Suite struct SyntheticGuestTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// Every file of a created bundle, by name.
  private func files(_ guest: SyntheticGuest, _ name: String) throws -> [String: [UInt8]] {
    try guest.create(at: scratch[name])
    let names = try scratch.names(in: name)
    return try names.reduce(into: [:]) { files, file in
      files[file] = try readSmallFile(scratch["\(name)/\(file)"], limit: 16 << 20)
    }
  }

  @Test func aCreatedGuestIsRead() throws {
    var guest = SyntheticGuest(memory: 1 << 20)
    guest.vcpus = 3
    guest.seed = [1]
    try guest.create(at: scratch["guest"])
    let reader = try GuestReader(bundle: scratch["guest"])
    #expect(reader.description == (try guest.description()))
    let attributes = reader.description.attributes.ranges.map { $0.start..<$0.end }
    #expect(reader.description.pageStates.firstDisagreement(with: attributes) == nil)
    #expect(reader.description.vcpus.map(\.apicID) == [0, 1, 2])
  }

  @Test func theSeedDecidesEveryByte() throws {
    var guest = SyntheticGuest(memory: 256 << 10)
    guest.seed = [1, 2, 3]
    let first = try files(guest, "first")
    #expect(try files(guest, "second") == first)
    guest.seed = [1, 2, 4]
    let other = try files(guest, "other")
    for name in ["ram-0.bin", "vcpu-0.vmsa", "service-0.bin", "page-states.bin"] {
      #expect(other[name] != first[name], "\(name)")
    }
  }

  /// Version 1 of the generator (`Formats/guest-bundle.md`, section 10): digests of a guest of
  /// 1 MiB, as this code made it first.
  @Test func theGeneratorMakesWhatItAlwaysMade() throws {
    var guest = SyntheticGuest(memory: 1 << 20)
    guest.vcpus = 2
    guest.seed = Array("golden".utf8)
    guest.secretsPage = 0x9000
    guest.below4G = 0xc0000
    let made = try files(guest, "guest").mapValues { Hex.encode(try SHA256.hash($0)) }
    #expect(
      made == [
        "guest.json":
          "be274dfe54c08a4e6959a09e0a103405b90261e9d1a1137fd69edd55c5c1ca5b",
        "page-states.bin":
          "b74e1de19e685fdfe563445f224c4acc86d79f66ead519ecdb125c3d9cc94f57",
        "ram-0.bin":
          "c2c7449d66e6e7cdb508dc813c4a16cd9b0b0dbd7bcb65f9d5dcf5038280f486",
        "service-0.bin":
          "3bc365d03e0479de627c76bfef3c21ec60b88dcdd4a19723e6861ba4d7851264",
        "vcpu-0.vmsa":
          "01330a0a75e87db3a747a436e4971fcdf4ee052147eb199121b83a651eb5501a",
        "vcpu-1.vmsa":
          "29c5db662ea092e3cfc272d9c7d53b65c5b0738759a9fae98e83645caa4c0d0c",
      ])
  }

  /// Rows: memory in pages, private fraction, private pages.
  @Test(arguments: [
    (UInt64(256), 0.0, UInt64(0)), (256, 1.0, 256), (256, 0.5, 128), (256, 0.001, 0),
    (256, 0.999, 256), (257, 0.5, 129), (1, 1.0, 1), (1, 0.0, 0), (4096, 0.75, 3072),
    (16384, 1.0, 16384), (16384, 0.3, 4915),
  ])
  func thePrivateFractionIsExact(pages: UInt64, fraction: Double, expected: UInt64) throws {
    var guest = SyntheticGuest(memory: pages * 4096)
    guest.privateFraction = fraction
    for seed in 0..<8 as Range<UInt8> {
      guest.seed = [seed]
      let states = try guest.description().pageStates
      let isPrivate = states.runs.reduce(0) { $0 + ($1.state.isPrivate ? $1.pages : 0) }
      #expect(isPrivate == expected)
    }
  }

  @Test func theWholeRangeOfStatesOccurs() throws {
    var guest = SyntheticGuest(memory: 64 << 20)
    guest.privateFraction = 0.7
    let states = try guest.description().pageStates
    for state in PageState.allCases { #expect(states.pages(in: state) > 0, "\(state)") }
    #expect(states.runs.contains { $0.size == .size2M })
    #expect(states.runs.contains { $0.pages == 1 && $0.state == .shared })
    #expect(
      states.runs.contains { $0.state == .validated && $0.permissions != .guestDefault })
    #expect(states.run(at: SyntheticGuest.usualSecretsPage)?.state == .secrets)
  }

  /// Rows: options under which there is no secrets page.
  @Test(arguments: [
    (UInt64(64 << 20), 0.0, SyntheticGuest.usualSecretsPage as UInt64?), (64 << 20, 0.5, nil),
    (8 << 20, 0.5, SyntheticGuest.usualSecretsPage), (1 << 20, 0.5, 0x1001),
  ])
  func someGuestsHaveNoSecretsPage(memory: UInt64, fraction: Double, place: UInt64?) throws {
    var guest = SyntheticGuest(memory: memory)
    guest.privateFraction = fraction
    guest.secretsPage = place
    #expect(try guest.description().pageStates.pages(in: .secrets) == 0)
  }

  @Test func theSecretsPageIsOne() throws {
    var guest = SyntheticGuest(memory: 64 << 10)
    guest.secretsPage = 0x3000
    try guest.create(at: scratch["guest"])
    let reader = try GuestReader(bundle: scratch["guest"])
    #expect(reader.description.pageStates.run(at: 0x3000)?.state == .secrets)
    var bytes = [UInt8](repeating: 0, count: SecretsPage.Layout.size)
    var span = bytes.mutableSpan
    try reader.read(gpa: 0x3000, into: &span)
    let page = try SecretsPage(bytes)
    #expect(page.facts.guestVMPL == 2)
    // Keys above the guest's level are wiped.
    #expect(page.vmpcks.map { $0.allSatisfy { $0 == 0 } } == [true, true, false, false])
  }

  @Test func pagesNeverAcceptedAreZero() throws {
    var guest = SyntheticGuest(memory: 1 << 20)
    guest.privateFraction = 1
    guest.seed = [5]
    try guest.create(at: scratch["guest"])
    let reader = try GuestReader(bundle: scratch["guest"])
    let runs = reader.description.pageStates.runs.filter { $0.state == .unaccepted }
    #expect(!runs.isEmpty)
    for run in runs {
      var bytes = [UInt8](repeating: 1, count: Int(run.pages) * 4096)
      var span = bytes.mutableSpan
      try reader.read(gpa: run.gpa, into: &span)
      let zeros = [UInt8](repeating: 0, count: bytes.count)
      #expect(bytes == zeros)
    }
  }

  @Test func memoryLiesAboveTheHoleToo() throws {
    var guest = SyntheticGuest(memory: 1 << 20)
    guest.below4G = 0x40000
    guest.secondBlock = 0x20000
    try guest.create(at: scratch["guest"])
    let description = try GuestReader(bundle: scratch["guest"]).description
    #expect(description.ramBlocks.map(\.name) == ["pc.ram", "mem1"])
    #expect(
      description.map.addresses.description
        == "0x0-0x3ffff,0x100000000-0x1000bffff,0x200000000-0x20001ffff")
  }

  @Test func vcpusRunInLongModeWithRegistersOfTheirOwn() throws {
    var guest = SyntheticGuest(memory: 1 << 20)
    guest.vcpus = 4
    let vcpus = try guest.description().vcpus
    #expect(Set(vcpus.map(\.vmsa)).count == 4)
    for vcpu in vcpus {
      let vmsa = try VMSA(vcpu.vmsa)
      try vmsa.validateForImport(
        expectedVMPL: vcpu.vmpl, expectedFeatures: try VMSA(vcpus[0].vmsa).features)
      #expect(vmsa.features.setBits.contains("SNPActive"))
      #expect(vmsa.efer >> 10 & 1 == 1)
    }
  }

  @Test func aLaterRoundDiffersInContentOnly() throws {
    var guest = SyntheticGuest(memory: 1 << 20)
    guest.changedFraction = 0.25
    let first = try files(guest, "round0")
    guest.round = 1
    let second = try files(guest, "round1")
    let before = try #require(first["ram-0.bin"])
    let after = try #require(second["ram-0.bin"])
    let changed = stride(from: 0, to: before.count, by: 4096).filter {
      before[$0..<$0 + 4096] != after[$0..<$0 + 4096]
    }
    #expect((20...100).contains(changed.count))
    #expect(first["page-states.bin"] == second["page-states.bin"])
    #expect(first["guest.json"] == second["guest.json"])
    #expect(first["vcpu-0.vmsa"] != second["vcpu-0.vmsa"])
    #expect(first["service-0.bin"] != second["service-0.bin"])
  }

  @Test("in later rounds a guest shares, frees and accepts pages, when it is asked to")
  func aLaterRoundMayDifferInStates() throws {
    var guest = SyntheticGuest(memory: 16 << 20)
    let first = try guest.description()
    guest.convertedFraction = 0.1
    #expect(try guest.description().pageStates == first.pageStates)
    guest.round = 1
    let second = try guest.description()
    try first.requireSameShape(as: second)
    let attributes = second.attributes.ranges.map { $0.start..<$0.end }
    #expect(second.pageStates.firstDisagreement(with: attributes) == nil)
    let changes = first.pageStates.changes(to: second.pageStates)
    let states: [PageState] = [.shared, .validated, .unaccepted]
    for before in states {
      for now in states where now != before {
        #expect(changes.contains { $0.before == before && $0.now == now }, "\(before) to \(now)")
      }
    }
    #expect(second.pageStates.run(at: SyntheticGuest.usualSecretsPage)?.state == .secrets)
    // A tenth of the pages is converted, some of them to what they were.
    let pages = changes.reduce(0) { $0 + $1.range.count } / 4096
    #expect((100...410).contains(pages))
  }

  @Test func optionsOutOfRangeAreRefused() {
    var rows: [SyntheticGuest] = []
    for change in [
      { $0.privateFraction = -0.1 }, { $0.privateFraction = 1.1 }, { $0.privateFraction = .nan },
      { $0.vcpus = 4097 }, { $0.vcpus = -1 }, { $0.memory = 0 }, { $0.memory = 4095 },
      { $0.secondBlock = 1 }, { $0.below4G = 1 }, { $0.round = -1 }, { $0.changedFraction = 2 },
      { $0.convertedFraction = -1 }, { $0.convertedFraction = .nan },
      { $0.memory = 1 << 50 }, { $0.secondBlock = 1 << 50 }, { $0.memory = .max & ~4095 },
    ] as [(inout SyntheticGuest) -> Void] {
      rows.append(SyntheticGuest(memory: 1 << 20))
      change(&rows[rows.count - 1])
    }
    for row in rows {
      let error = #expect(throws: MigrationError.self) { try row.description() }
      #expect(error?.code == .guestShape)
    }
  }
}
