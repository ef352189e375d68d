internal import Errors

extension Attack {
  /// What a host rewrites of its own data, and destinations to which it takes a stream.
  static let hosts: [Attack] = [
    Attack(
      "host-rewrites-shared", [11], "shared memory changed", "set ram.content[?].content random",
      plain: .init([.sealChunk], [.sealChunk]), mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "host-zeroes-shared", [11], "shared memory zeroed", "set ram.content[?].content zero",
      plain: .init([.sealChunk], [.sealChunk]), mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "host-rewrites-map", [8, 9], "another place of RAM mapped",
      "add map.entry[last].gpa 4096",
      plain: .init(
        [.guestMap, .mapSharedAtPrivate, .sealChunk], [.guestMap, .mapSharedAtPrivate, .sealChunk]),
      mended: .init(
        [.guestMap, .mapSharedAtPrivate, .sealSigner],
        [.guestMap, .mapSharedAtPrivate, .sealSigner])),
    Attack(
      "host-renames-block", [8], "a RAM block with another name",
      "flip body(ram.start)+9 mask=01",
      plain: .init([.ramBlock, .sealChunk], [.ramBlock, .sealChunk]),
      mended: .init([.ramBlock, .sealSigner], [.ramBlock, .sealSigner])),
    Attack(
      "host-reorders-devices", [3], "two devices in each other's place",
      "swap device[?] device[?+1]", plain: .init([.sectionOrder], [.sectionOrder]),
      mended: .init([.sectionOrder], [.sectionOrder])),
    Attack(
      "host-drops-device", [4], "a device and its entry's place", "cut device[last]",
      plain: .init([.sectionOrder], [.sectionOrder]),
      mended: .init([.sectionOrder], [.sectionOrder])),
    Attack(
      "host-swaps-sealed", [31], "a sealed device's body declared to be in the clear",
      "set machine.entry[last].place 00", plain: .init([.machineSyntax], [.machineSyntax]),
      mended: .init([.machineSyntax], [.machineSyntax])),
    Attack(
      "rogue-sealed-exchanged", [31], "two sealed entries in each other's place, before the seal",
      """
      swap machine.sealed[?] machine.sealed[?+1]
      rogue
      """,
      plain: .init([nil], [.machineSyntax])),
    Attack(
      "rogue-sealed-renumbered", [31], "a sealed entry under another instance, before the seal",
      """
      set machine.sealed[last].instance =77
      rogue
      """,
      plain: .init([nil], [.machineSyntax])),
    Attack(
      "rogue-sealed-renamed", [31], "a sealed entry under a name that is not sealed",
      """
      flip machine.sealed[last].name mask=01
      rogue
      """,
      plain: .init([.machineSyntax], [.machineSyntax])),
    Attack(
      "rogue-sealed-in-clear", [31],
      "registers of the host's own in the clear, in place of sealed ones",
      """
      set machine.sealed[last].length zero
      set machine.sealed[last].place 00
      rogue
      """,
      plain: .init([.machineSyntax], [.machineSyntax])),
    Attack(
      "rogue-cpu-added", [31], "registers of one more vCPU, in the clear",
      """
      insert after machine.entry[last] hex:04000300ffffff000000004d0000000c00000002637075aaaa
      add machine.count 1
      add machine.length 25
      rogue
      """,
      plain: .init([.machineSyntax], [.machineSyntax])),
    Attack(
      "rogue-cpu-added-sealed", [31], "an entry for registers that the SVSM does not carry",
      """
      insert after machine.entry[last] hex:04020300ffffff000000004d0000000c00000002637075
      add machine.count 1
      add machine.length 23
      rogue
      """,
      plain: .init([nil], [.machineSyntax])),
    Attack(
      "host-rewrites-description", [1], "a VM description of its own",
      "set description.text+2 text:x", plain: .init([.sealTrailer], [.sealTrailer]),
      mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "host-renames-machine", [40], "another machine type", "flip configuration.name mask=01",
      plain: .init([.sealChunk], [.sealChunk]), mended: .init([.sealSigner], [.sealSigner])),
    Attack(
      "other-source-key", [21], "the host's own key as the source's",
      "set session.source_key host-key",
      plain: .init([.epochTranscript], [.reportData, .pageTag]),
      mended: .init([.reportData, nil], [.reportData, .pageTag])),
    Attack(
      "second-destination", [15, 18], "the same stream to a second destination", "",
      target: .other, plain: .init([nil], [.sessionRecipient])),
    Attack(
      "second-destination-rewritten", [15], "the same, with the session rewritten for its offer",
      "set session.offer_digest offer-digest", target: .other,
      plain: .init([.epochTranscript], [.reportData, .sessionKey]),
      mended: .init([.sealSigner], [.reportData, .sessionKey])),
    Attack(
      "second-load", [16, 18], "the same stream a second time", "", target: .used,
      plain: .init([nil], [nil], loaded: [.instanceUsed])),
    Attack(
      "rolled-back-destination", [18], "an old stream to a new instance of the same platform", "",
      target: .other, plain: .init([nil], [.sessionRecipient])),
  ]
}
