package import Errors
internal import FileIO
internal import SEVSNP
internal import Wire

/// A synthetic guest that resembles a real one: the same seed and options give the same bytes on
/// every machine (`Formats/guest-bundle.md`, section 10).
///
/// Private and shared memory alternate in runs of one page up to several 2 MiB pages; some private
/// runs were never accepted, some pages have fewer permissions. Pages are zero, patterned, text,
/// pointer tables or noise. The guest has a secrets page, vCPUs in long mode and a vTPM.
package struct SyntheticGuest: Sendable {
  /// Guest-physical address at which OVMF puts the secrets page.
  package static let usualSecretsPage: UInt64 = 0x80d000

  /// Bytes of the main RAM block, at most 1 TiB.
  package var memory: UInt64
  /// Number of vCPUs.
  package var vcpus = 1
  /// Fraction of all pages that is private, 0 to 1. The number of private pages is rounded to the
  /// nearest integer.
  package var privateFraction = 0.5
  /// The seed, of any length.
  package var seed: [UInt8] = []
  /// QEMU's machine type, which decides the addresses of memory.
  package var machine = "pc-q35-10.0"
  /// Bytes of memory below the hole at 4 GiB; nil for the usual number of the machine.
  package var below4G: UInt64?
  /// Bytes of a second RAM block, "mem1", above all other memory with a hole between; 0 for none.
  package var secondBlock: UInt64 = 0
  /// Guest-physical address of the secrets page. The guest has no secrets page when this is nil, no
  /// memory is mapped there, or no page is private.
  package var secretsPage: UInt64? = Self.usualSecretsPage
  /// The number of rounds that the guest has run, at most 1000: in each round after round 0 some
  /// pages, the vCPUs and the vTPM change.
  package var round = 0
  /// Fraction of the pages that changes in a round.
  package var changedFraction = 0.05
  /// Fraction of the pages that the guest shares, frees or accepts in a round. After such a round
  /// `privateFraction` no longer gives the fraction of private pages.
  package var convertedFraction = 0.0

  package init(memory: UInt64) { self.memory = memory }

  /// Writes the guest as a bundle.
  /// - Parameters:
  ///   - progress: called with the bytes of memory that have been written, about once per mebibyte.
  /// - Throws: `GUEST-SHAPE` for options that give no valid guest; `MAP-LAYOUT` for an unknown
  ///   machine; `OUTPUT-EXISTS`, `OUTPUT-CREATE`, `IO-WRITE`.
  package func create(
    at path: String, force: Bool = false, progress: (UInt64) -> Void = { _ in }
  ) throws(MigrationError) {
    let guest = try description()
    let output = try GuestWriter(path, force: force, permissions: .public)
    let memory = try output.begin(blockSizes: guest.ramBlocks.map(\.size))
    try SyntheticPages(self, guest).write(to: memory, progress: progress)
    try memory.finish(guest)
  }

  /// The guest without the content of its memory.
  /// - Throws: `GUEST-SHAPE`, `MAP-LAYOUT`, `MAP-SYNTAX`.
  package func description() throws(MigrationError) -> GuestDescription {
    guard (0.0...1.0).contains(privateFraction), (0.0...1.0).contains(changedFraction),
      (0.0...1.0).contains(convertedFraction),
      (1...GuestDescription.maximumVCPUs).contains(vcpus), (0...1000).contains(round),
      memory <= 1 << 40, secondBlock <= 1 << 40
    else {
      throw MigrationError(
        .guestShape, "an option of the synthetic guest is out of range",
        expected:
          "fractions from 0 to 1, 1 to \(GuestDescription.maximumVCPUs) vCPUs, rounds to 1000, "
          + "blocks to 1 TiB",
        got:
          "fractions \(privateFraction), \(changedFraction) and \(convertedFraction), "
          + "\(vcpus) vCPUs, round \(round), "
          + "blocks of \(Hex.number(memory)) and \(Hex.number(secondBlock))")
    }
    var blocks = [try RAMBlock(name: GuestLayout.mainBlock(of: machine), size: memory)]
    var ranges = try GuestLayout.ranges(machine: machine, size: memory, below4G: below4G)
    if secondBlock > 0 {
      blocks.append(try RAMBlock(name: "mem1", size: secondBlock))
      let top = ranges.last?.end ?? 0
      // The second block lies at 8 GiB or, if the other memory reaches that far, at least 1 GiB
      // above its end.
      let gpa = max(8 << 30, ((top + (2 << 30) - 1) >> 30) << 30)
      ranges.append(MappedRange(block: 1, offset: 0, gpa: gpa, size: secondBlock))
    }
    let map = try GuestMap(ranges, blocks: blocks)
    var states = SyntheticStates(
      addresses: map.addresses, privateFraction: privateFraction, secretsPage: secretsPage,
      generator: seedRoot.generator(.states))
    let pageStates = try SyntheticConversions(self).apply(to: states.make())
    var vcpuStates: [VCPUState] = []
    for index in 0..<vcpus { vcpuStates.append(try vcpu(index)) }
    let guest = GuestDescription(
      machine: machine, ramBlocks: blocks, map: map, attributes: pageStates.privateAddresses,
      pageStates: pageStates, vcpus: vcpuStates, services: [try vTPM()])
    try guest.validate()
    return guest
  }

  var seedRoot: GuestSeed { GuestSeed(seed) }

  /// A vCPU that runs in a kernel, with register values of its own.
  private func vcpu(_ index: Int) throws(MigrationError) -> VCPUState {
    var numbers = seedRoot.generator(.vcpu, UInt64(index), UInt64(round))
    let pages = memory / Page.size64
    let kernel: UInt64 = 0xffff_ffff_8100_0000
    var vmsa = VMSA.longMode(
      vmpl: 2, features: Self.features, cr3: numbers.next(below: pages) * Page.size64,
      rip: kernel + numbers.next(below: 14 << 20),
      rsp: 0xffff_c900_0000_4000 + (UInt64(index) << 16) - numbers.next(below: 512) * 8)
    for register in [
      \VMSA.rax, \.rbx, \.rcx, \.rdx, \.rbp, \.rsi, \.rdi, \.r8, \.r9, \.r10, \.r11, \.r12, \.r13,
      \.r14, \.r15,
    ] { vmsa[keyPath: register] = numbers.next() }
    vmsa.lstar = kernel + 0xa0_0080
    vmsa.star = 0x0023_0010_0000_0000
    vmsa.sfmask = 0x257fd5
    vmsa.tscAux = UInt64(index)
    vmsa.kernelGSBase = 0x7f00_0000_0000 + numbers.next(below: 1 << 32) / Page.size64 * Page.size64
    vmsa.gs = Segment(
      attributes: 0, limit: 0, base: 0xffff_8880_0000_0000 + (UInt64(index) << 20))
    return try VCPUState(apicID: UInt32(index), vmpl: 2, vmsa: vmsa.bytes)
  }

  /// SEV_FEATURES of every vCPU: those that an instance expects by default.
  private static let features = SEVFeatures.snp

  /// A virtual TPM whose state is a blob of 16 to 64 KiB.
  private func vTPM() throws(MigrationError) -> ServiceState {
    var numbers = seedRoot.generator(.service, 1, UInt64(round))
    // The size does not depend on the round, like that of a real TPM's state.
    var sizes = seedRoot.generator(.service, 0)
    let size = (16 << 10) + Int(sizes.next(below: (48 << 10) + 1))
    return try ServiceState(
      kind: .vTPM, version: 1, generation: 1, blob: numbers.bytes(size))
  }
}
